namespace Quench.Snapshots.Coordination.Programs;

/// <summary>What other programs say, made fit for a report: one line, no control characters, not long.</summary>
internal static class PrintableText
{
    private const int Longest = 400;

    public static string Of(string text) =>
        string.Create(Math.Min(text.Length, Longest), text, static (into, from) =>
        {
            for (int at = 0; at < into.Length; at++)
            {
                into[at] = char.IsControl(from[at]) ? ' ' : from[at];
            }
        });
}
