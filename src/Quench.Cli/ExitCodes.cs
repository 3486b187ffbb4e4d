using System.Globalization;

namespace Quench.Cli;

/// <summary>What the process's exit code says. Scripts rely on these numbers; the table is part of the help and tested.</summary>
internal static class ExitCodes
{
    public const int Done = 0;
    public const int Failed = 1;
    public const int Usage = 2;
    public const int LowerGrade = 3;
    public const int NoVault = 10;
    public const int InUse = 11;
    public const int WrongPassword = 12;
    public const int SnapshotInvalidated = 20;
    public const int Mismatch = 22;
    public const int Interrupted = 130;

    /// <summary>Every code and what it means, in order.</summary>
    public static IReadOnlyList<(int Code, string Meaning)> All { get; } =
    [
        (Done, "done"),
        (Failed, "failed; the message says why"),
        (Usage, "the command line was not understood"),
        (LowerGrade, "a point was made, but of a lower grade than --require asks for"),
        (NoVault, "there is no vault at that place"),
        (InUse, "the source, the target or the volume's one snapshot is in use"),
        (WrongPassword, "no password, or a wrong one"),
        (SnapshotInvalidated, "the snapshot was lost while it was imaged (diff area full); the volume is unaffected"),
        (Mismatch, "verification or proof found damage or a difference"),
        (Interrupted, "interrupted; vault and volume are as they were"),
    ];

    /// <summary>The table as the help prints it.</summary>
    public static string Table() =>
        "Exit codes:\n" + string.Join('\n', All.Select(row => string.Create(CultureInfo.InvariantCulture, $"  {row.Code,3}  {row.Meaning}")));
}
