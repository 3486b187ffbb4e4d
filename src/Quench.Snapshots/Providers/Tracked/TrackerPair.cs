using System.Globalization;
using Quench.Interop.Bpf;

namespace Quench.Snapshots.Providers.Tracked;

/// <summary>
/// Two copies of one program at one tracepoint. The kernel does not run a program that it is running on the same processor already: an event in an interrupt would be lost. It interrupts one of the two
/// at most, so the other one hears it; only an interrupt within such an interrupt can be lost to both. Not thread-safe.
/// </summary>
internal sealed class TrackerPair : IDisposable
{
    private readonly List<BpfProgram> _copies = [];

    private TrackerPair()
    {
    }

    /// <summary>Events that the first copy was left out of.</summary>
    public ulong FirstMisses => _copies[0].CountMisses();

    /// <summary>Loads both and lets them run, the first one first: in this order the kernel calls them.</summary>
    public static TrackerPair Attach(string name, string tracepoint, Func<TrackerTurn, ulong[]> code) => Make(pair =>
    {
        foreach (TrackerTurn turn in (ReadOnlySpan<TrackerTurn>)[TrackerTurn.First, TrackerTurn.Second])
        {
            BpfProgram program = BpfProgram.Load(name, code(turn));
            pair._copies.Add(program);
            program.AttachTo(tracepoint);
        }
    });

    /// <summary>Opens what was pinned.</summary>
    public static TrackerPair OpenPinned(string name, string path) => Make(pair =>
    {
        for (int copy = 0; copy < 2; copy++)
        {
            pair._copies.Add(BpfProgram.OpenPinned(name, ProgramPath(path, copy), LinkPath(path, copy)));
        }
    });

    /// <summary>Lets both stay in the kernel, under names that begin with this path.</summary>
    public void Pin(string path)
    {
        for (int copy = 0; copy < _copies.Count; copy++)
        {
            _copies[copy].Pin(ProgramPath(path, copy), LinkPath(path, copy));
        }
    }

    /// <summary>Stops running, unless they were pinned.</summary>
    public void Detach() => _copies.ForEach(program => program.Detach());

    /// <inheritdoc/>
    public void Dispose() => _copies.ForEach(program => program.Dispose());

    private static string ProgramPath(string path, int copy) => string.Create(CultureInfo.InvariantCulture, $"{path}_{copy + 1}");

    private static string LinkPath(string path, int copy) => $"{ProgramPath(path, copy)}_link";

    private static TrackerPair Make(Action<TrackerPair> fill)
    {
        TrackerPair pair = new();
        try
        {
            fill(pair);
            return pair;
        }
        catch
        {
            pair.Dispose();
            throw;
        }
    }
}
