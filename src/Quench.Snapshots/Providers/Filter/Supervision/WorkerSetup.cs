using System.Globalization;

namespace Quench.Snapshots.Providers.Filter.Supervision;

/// <summary>The words that a worker is started with: what it serves, and the numbers of the descriptors that it inherits.</summary>
/// <param name="Protocol">The version of what holder and worker say to each other.</param>
/// <param name="Name">The volume's name.</param>
/// <param name="Origin">The origin's path.</param>
/// <param name="Threads">How many requests may be in work at once.</param>
/// <param name="Tracks">Whether changes are tracked.</param>
/// <param name="Connection">The FUSE connection.</param>
/// <param name="Door">The listening control socket.</param>
/// <param name="Held">The origin, opened and claimed by the holder.</param>
/// <param name="Page">The <see cref="HolderPage"/>.</param>
/// <param name="Board">The worker's <see cref="Supervision.Board"/>.</param>
/// <param name="Line">The line to the holder.</param>
internal sealed record WorkerSetup(
    int Protocol, string Name, string Origin, int Threads, bool Tracks, int Connection, int Door, int Held, int Page, int Board, int Line)
{
    internal const int ThisProtocol = 2;

    private const string Track = "track";
    private const string NoTrack = "no-track";

    internal static string TrackingWord(bool tracks) => tracks ? Track : NoTrack;

    internal static bool IsTracking(string word) => word == Track;

    internal IReadOnlyList<string> ToWords() =>
    [
        Text(Protocol), Name, Origin, Text(Threads), TrackingWord(Tracks),
        Text(Connection), Text(Door), Text(Held), Text(Page), Text(Board), Text(Line),
    ];

    /// <summary>Reads the words; null when they are of another protocol.</summary>
    internal static WorkerSetup? TryParse(IReadOnlyList<string> words) => words.Count == 11 && Number(words[0]) == ThisProtocol
        ? new WorkerSetup(
            ThisProtocol, words[1], words[2], Number(words[3]), IsTracking(words[4]),
            Number(words[5]), Number(words[6]), Number(words[7]), Number(words[8]), Number(words[9]), Number(words[10]))
        : null;

    private static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);

    private static int Number(string text) => int.Parse(text, CultureInfo.InvariantCulture);
}
