namespace Quench.Blocks.Devices;

/// <summary>Told when a thread goes into the kernel with a disk's I/O and when it comes back: so that somebody can tell a slow disk from a thread that hangs.</summary>
/// <remarks>Called from many threads, on each transfer: it must not wait, allocate or throw. Begin and End come in pairs, never nested.</remarks>
public interface ITransferWatch
{
    /// <summary>The calling thread begins a transfer.</summary>
    void Begin();

    /// <summary>The calling thread's transfer has ended, well or not.</summary>
    void End();
}
