namespace Quench.Writers;

/// <summary>What a backup asks, as it is written. (docs/writer-protocol.md, Events)</summary>
internal static class Events
{
    public const string Identify = "identify";
    public const string PrepareBackup = "prepare-backup";
    public const string PrepareSnapshot = "prepare-snapshot";
    public const string Freeze = "freeze";
    public const string Thaw = "thaw";
    public const string PostSnapshot = "post-snapshot";
    public const string BackupComplete = "backup-complete";
    public const string Abort = "abort";
    public const string PreRestore = "pre-restore";
    public const string PostRestore = "post-restore";
}
