using Quench.Snapshots;

namespace Quench.Imaging.Capture;

/// <summary>
/// Fails a capture as soon as one of its snapshots breaks, whatever it is busy with: without this a capture that stores, or waits for its vault, would not notice before
/// its next read. Up to the commit, that is: a point whose content was read from a sound snapshot is sound.
/// </summary>
internal sealed class BreakWatch
{
    private const int Open = 0;
    private const int Sealed = 1; // the commit begins: breaking is no failure any more
    private const int Broken = 2;

    private static readonly TimeSpan s_patience = TimeSpan.FromMilliseconds(500);

    private int _state;

    private BreakWatch()
    {
    }

    /// <summary>Runs a capture under watch.</summary>
    /// <param name="snapshots">Watched.</param>
    /// <param name="clock">Measures the patience.</param>
    /// <param name="body">The capture; it calls <see cref="SealOrThrow"/> right before it commits.</param>
    /// <param name="cancellationToken">Cancels the capture.</param>
    /// <exception cref="Quench.Blocks.QuenchException">
    /// SNAP-104: one broke. The capture is cancelled and given half a second to end in order; what hangs longer, in a store that does not answer, is left behind as by a
    /// kill, and can't commit any more.
    /// </exception>
    internal static async Task<CaptureResult> RunAsync(
        IReadOnlyList<ISnapshot> snapshots, TimeProvider clock, Func<BreakWatch, CancellationToken, Task<CaptureResult>> body, CancellationToken cancellationToken)
    {
        BreakWatch watch = new();
        using CancellationTokenSource watching = new();
        CancellationTokenSource stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken); // disposed when the capture has ended, which may be late
        Task<DiffAreaStatus>[] watched = [.. snapshots.Select(snapshot => snapshot.WaitUntilBrokenAsync(watching.Token))];
        Task<Task<DiffAreaStatus>> broken = Task.WhenAny(watched);
        Task<CaptureResult> capture = Task.Run(() => body(watch, stop.Token), CancellationToken.None);
        _ = capture.ContinueWith(static (ended, stop) => EndLate(ended, (CancellationTokenSource)stop!), stop, CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
        bool isBroken = await Task.WhenAny(capture, broken) == broken && (await broken).IsCompletedSuccessfully && watch.TryMove(Broken);
        if (isBroken)
        {
            await stop.CancelAsync();
            await Task.WhenAny(capture, Task.Delay(s_patience, clock, CancellationToken.None));
            Task<DiffAreaStatus> first = await broken;
            SnapshotTrouble.ThrowIfBroken(snapshots[Array.IndexOf(watched, first)], await first, cause: null);
        }

        await watching.CancelAsync();
        return await capture;
    }

    /// <summary>Ends the watch, because the commit begins.</summary>
    /// <exception cref="OperationCanceledException">It has found the snapshot broken; nothing may be committed.</exception>
    internal void SealOrThrow()
    {
        if (!TryMove(Sealed) && Volatile.Read(ref _state) == Broken)
        {
            throw new OperationCanceledException("the snapshot broke");
        }
    }

    /// <summary>Observes what became of a capture that nobody waits for, and frees its token.</summary>
    private static void EndLate(Task<CaptureResult> ended, CancellationTokenSource stop)
    {
        _ = ended.Exception;
        stop.Dispose();
    }

    private bool TryMove(int to) => Interlocked.CompareExchange(ref _state, to, Open) == Open;
}
