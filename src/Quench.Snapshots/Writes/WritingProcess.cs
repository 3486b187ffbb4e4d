namespace Quench.Snapshots.Writes;

/// <summary>Who wrote. One object for one process and name of a watch: compare by reference. Immutable.</summary>
/// <param name="Id">The process's number; a thread of the kernel has one too. 0 when nobody could be told.</param>
/// <param name="Name">Its name as the kernel has it: 15 bytes at most.</param>
/// <param name="IsKernel">Whether it is a thread of the kernel.</param>
public sealed record WritingProcess(int Id, string Name, bool IsKernel)
{
    /// <summary>Stands for whoever made pages dirty before they were watched, and for those that were forgotten.</summary>
    public static WritingProcess Unknown { get; } = new(0, "", IsKernel: false);
}
