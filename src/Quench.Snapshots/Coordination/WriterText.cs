namespace Quench.Snapshots.Coordination;

/// <summary>States, errors and events in words: those of the protocol, and those that people who know VSS expect.</summary>
public static class WriterText
{
    /// <summary>An event's word in the protocol: "prepare-snapshot".</summary>
    public static string NameOf(WriterEvent step) => step switch
    {
        WriterEvent.Identify => "identify",
        WriterEvent.PrepareBackup => "prepare-backup",
        WriterEvent.PrepareSnapshot => "prepare-snapshot",
        WriterEvent.Freeze => "freeze",
        WriterEvent.Thaw => "thaw",
        WriterEvent.PostSnapshot => "post-snapshot",
        WriterEvent.BackupComplete => "backup-complete",
        WriterEvent.Abort => "abort",
        WriterEvent.PreRestore => "pre-restore",
        _ => "post-restore",
    };

    /// <summary>A state as VSS's tools print it: "Stable", "Waiting for completion", "Failed".</summary>
    public static string NameOf(WriterState state) => state switch
    {
        WriterState.Unknown => "Unknown",
        WriterState.Stable => "Stable",
        WriterState.WaitingForFreeze => "Waiting for freeze",
        WriterState.WaitingForThaw => "Waiting for thaw",
        WriterState.WaitingForPostSnapshot => "Waiting for post-snapshot",
        WriterState.WaitingForBackupComplete => "Waiting for completion",
        _ => "Failed",
    };

    /// <summary>The step at which a writer failed, in words; empty when it did not.</summary>
    public static string StepOf(WriterState state) => state switch
    {
        WriterState.FailedAtIdentify => "identify",
        WriterState.FailedAtPrepareBackup => "prepare-backup",
        WriterState.FailedAtPrepareSnapshot => "prepare-snapshot",
        WriterState.FailedAtFreeze => "freeze",
        WriterState.FailedAtThaw => "thaw",
        WriterState.FailedAtPostSnapshot => "post-snapshot",
        WriterState.FailedAtBackupComplete => "backup-complete",
        WriterState.FailedAtPreRestore => "pre-restore",
        WriterState.FailedAtPostRestore => "post-restore",
        WriterState.FailedAtBackupShutdown => "backup-shutdown",
        _ => "",
    };

    /// <summary>An error as VSS's tools print it: "No error", "Timed out", "Retryable error".</summary>
    public static string NameOf(WriterError error) => error switch
    {
        WriterError.None => "No error",
        WriterError.InconsistentSnapshot => "Inconsistent shadow copy",
        WriterError.OutOfResources => "Out of resources",
        WriterError.Timeout => "Timed out",
        WriterError.Retryable => "Retryable error",
        WriterError.NotResponding => "Not responding",
        _ => "Non-retryable error",
    };
}
