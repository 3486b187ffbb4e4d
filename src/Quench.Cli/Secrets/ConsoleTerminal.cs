namespace Quench.Cli.Secrets;

/// <summary>The process's own terminal.</summary>
internal sealed class ConsoleTerminal : ITerminal
{
    private const int LongestSecret = 1024;

    public Secret ReadSecret(string prompt)
    {
        Console.Error.Write(prompt);
        Span<char> typed = GC.AllocateArray<char>(LongestSecret, pinned: true);
        int length = 0;
        while (Console.ReadKey(intercept: true) is var key && key.Key != ConsoleKey.Enter)
        {
            if (key.Key == ConsoleKey.Backspace)
            {
                length = Math.Max(0, length - 1);
            }
            else if (key.KeyChar != '\0' && length < typed.Length)
            {
                typed[length++] = key.KeyChar;
            }
        }

        Console.Error.WriteLine();
        Secret secret = Secret.FromCharacters(typed[..length]);
        typed.Clear();
        return secret;
    }

    public bool Confirm(string question)
    {
        Console.Error.Write(question + " Type yes to go on: ");
        return Console.In.ReadLine()?.Trim() == "yes";
    }
}
