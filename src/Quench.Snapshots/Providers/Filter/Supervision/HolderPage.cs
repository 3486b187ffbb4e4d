using Quench.Exports.Fuse;
using Quench.Interop.Linux;

namespace Quench.Snapshots.Providers.Filter.Supervision;

/// <summary>
/// What outlives every worker, in memory that all of them map: what was agreed on with the kernel, the nodes that the kernel has been told of, and
/// what the holder has to say about itself.
/// </summary>
/// <remarks>
/// <code>
/// cell   0 version of this page    4 last node given out      8  last change (reason)    12 hangs
///        1 holder's process        5 FUSE minor               9  its detail              13 upgrades
///        2 is supervised           6 largest transfer         10 its time (Unix, ms)     14 refused upgrades
///        3 holder's beat           7 can resend               11 restarts                15 pass-through since (Unix, ms; 0 not)
///                                                                                        16 full service is tried again at (Unix, ms)
///                                                                                        17 worker that serves
///                                                                                        18 another one is warm
/// </code>
/// Cells are only ever added. Each is written by the holder alone, but for the last node, which whoever serves counts up.
/// </remarks>
internal sealed class HolderPage(SharedMemory memory)
{
    internal const int Cells = 64;
    internal const int Version = 1;

    internal SharedMemory Memory => memory;

    internal bool IsOfThisVersion => memory[0] == Version;

    internal int HolderId => (int)memory[1];

    internal bool IsSupervised => memory[2] != 0;

    internal int MaxTransfer => (int)memory[6];

    internal bool CanResend => memory[7] != 0;

    internal Change LastChange => new((ChangeReason)memory[8], (int)memory[9]);

    internal DateTimeOffset? LastChangeTime => Time(10);

    internal int Restarts => (int)memory[11];

    internal int Hangs => (int)memory[12];

    internal int Upgrades => (int)Volatile.Read(ref memory[13]);

    internal int RefusedUpgrades => (int)Volatile.Read(ref memory[14]);

    internal DateTimeOffset? PassThroughSince => Time(15);

    internal DateTimeOffset? NextTry => Time(16);

    internal bool HasStandby => memory[18] != 0;

    /// <summary>A node that no file of this connection had before: whoever has an old one open must never read another file there.</summary>
    internal ulong NewNode() => (ulong)Interlocked.Increment(ref memory[4]);

    internal void Begin(int holder, bool isSupervised, FuseAgreement agreement)
    {
        memory[0] = Version;
        memory[1] = holder;
        memory[2] = isSupervised ? 1 : 0;
        memory[4] = (long)FuseSession.FirstNode;
        memory[5] = agreement.Minor;
        memory[6] = agreement.MaxTransfer;
        memory[7] = agreement.CanResend ? 1 : 0;
    }

    /// <summary>Tells how the supervisor is doing.</summary>
    internal void Tell(SupervisorCore core, int worker, DateTimeOffset changed, DateTimeOffset? passThroughSince, DateTimeOffset? nextTry)
    {
        memory[8] = (long)core.LastChange.Reason;
        memory[9] = core.LastChange.Detail;
        memory[10] = core.LastChange.Reason == ChangeReason.None ? 0 : changed.ToUnixTimeMilliseconds();
        memory[11] = core.Restarts;
        memory[12] = core.Hangs;
        memory[15] = passThroughSince?.ToUnixTimeMilliseconds() ?? 0;
        memory[16] = nextTry?.ToUnixTimeMilliseconds() ?? 0;
        memory[17] = worker;
        memory[18] = core.HasStandby ? 1 : 0;
        Volatile.Write(ref memory[13], core.Upgrades);
        Volatile.Write(ref memory[14], core.RefusedUpgrades);
    }

    private DateTimeOffset? Time(int cell) => memory[cell] == 0 ? null : DateTimeOffset.FromUnixTimeMilliseconds(memory[cell]);
}
