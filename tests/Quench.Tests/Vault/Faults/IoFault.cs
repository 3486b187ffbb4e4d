using System.Collections.Concurrent;
using System.Diagnostics;
using Microsoft.Win32.SafeHandles;
using Quench.Interop.Linux;

namespace Quench.Tests.Vault.Faults;

/// <summary>How a system call fails.</summary>
/// <param name="Error">What the kernel would have said.</param>
/// <param name="Sticky">From that call on every call that can fail so does; otherwise one.</param>
public readonly record struct IoFaultKind(Errno Error, bool Sticky)
{
    /// <summary>Which calls fail in which way. (The manual pages' own lists, and what disks do.)</summary>
    private static readonly Dictionary<Errno, IoCall[]> s_who = new()
    {
        [Errno.EIO] = Enum.GetValues<IoCall>(),
        [Errno.ENOSPC] = [IoCall.Open, IoCall.Write, IoCall.Sync, IoCall.SyncDirectory, IoCall.Rename, IoCall.MakeDirectory, IoCall.Link],
        [Errno.EDQUOT] = [IoCall.Open, IoCall.Write, IoCall.Sync, IoCall.SyncDirectory, IoCall.Rename, IoCall.MakeDirectory, IoCall.Link],
        [Errno.EMFILE] = [IoCall.Open],
        [Errno.EINTR] = [IoCall.Open, IoCall.Read, IoCall.Write, IoCall.ReadDirectory, IoCall.Lock],
    };

    /// <summary>Every kind; an interruption that never ends is none.</summary>
    internal static IEnumerable<IoFaultKind> All => s_who.Keys.SelectMany(error =>
        error == Errno.EINTR ? [new IoFaultKind(error, false)] : (IoFaultKind[])[new(error, false), new(error, true)]);

    /// <summary>Whether the caller is to notice nothing.</summary>
    internal bool IsAbsorbed => Error == Errno.EINTR;

    internal bool Concerns(IoCall call) => s_who[Error].Contains(call);

    /// <inheritdoc/>
    public override string ToString() => $"{Error} {(Sticky ? "for good" : "once")}";
}

/// <summary>Makes the n-th of the system calls that can fail so fail, and remembers what must follow from it. Thread-safe.</summary>
internal sealed class IoFault(IoFaultKind kind, int failAt) : IIoFaults
{
    private readonly ConcurrentDictionary<string, bool> _unsynced = new(StringComparer.Ordinal); // files whose sync failed
    private string _lastNamed = ""; // what the flow of control under test has last made or renamed
    private int _calls;

    internal bool Fired => Volatile.Read(ref _calls) >= failAt;

    /// <summary>A sync has failed: nothing may be acknowledged. Second copies of roots don't count: a point is one without them. (docs/vault-format.md §2.1)</summary>
    internal bool HitSync { get; private set; }

    /// <summary>What the sync was of that failed.</summary>
    internal string? SyncedPath { get; private set; }

    /// <summary>A file whose sync had failed was given its name all the same; null when none was.</summary>
    internal string? NamedUnsynced { get; private set; }

    public int? Answer(IoCall call, string? path, SafeFileHandle? file)
    {
        if (call is (IoCall.Rename or IoCall.Exchange) && _unsynced.ContainsKey(path!))
        {
            NamedUnsynced = path;
        }

        _lastNamed = call is IoCall.MakeDirectory or IoCall.Rename or IoCall.Exchange ? path! : _lastNamed;
        if (!kind.Concerns(call))
        {
            return null;
        }

        int number = Interlocked.Increment(ref _calls);
        if (number != failAt && !(kind.Sticky && number > failAt))
        {
            return null;
        }

        SyncedPath = call is IoCall.Sync or IoCall.SyncDirectory ? path ?? PathOf(file!) : SyncedPath;
        HitSync |= call is (IoCall.Sync or IoCall.SyncDirectory) && !IsSecondCopy(SyncedPath!) && !IsSecondCopy(_lastNamed);
        if (call == IoCall.Sync)
        {
            _unsynced.TryAdd(PathOf(file!), true);
        }

        return (int)kind.Error;
    }

    public int Shorten(IoCall call, int length) => length;

    private static bool IsSecondCopy(string path) => path.Contains("/copies", StringComparison.Ordinal);

    private static string PathOf(SafeFileHandle file) =>
        File.ResolveLinkTarget($"/proc/self/fd/{file.DangerousGetHandle()}", returnFinalTarget: false)!.FullName;
}

/// <summary>Syncs fail and nobody hears of it: as the base library has it on Linux. (docs/decisions/0002)</summary>
internal sealed class HiddenSyncErrors : IIoFaults
{
    /// <summary>Whether one has failed.</summary>
    internal bool HitSync { get; private set; }

    public int? Answer(IoCall call, string? path, SafeFileHandle? file)
    {
        bool isSync = call is IoCall.Sync or IoCall.SyncDirectory;
        HitSync |= isSync;
        return isSync ? 0 : null;
    }

    public int Shorten(IoCall call, int length) => length;
}

/// <summary>Every transfer is cut short somewhere. Thread-safe.</summary>
internal sealed class ShortTransfers(int seed) : IIoFaults
{
    private readonly Lock _gate = new(); // guards the one below
    private readonly Random _random = new(seed);

    public int? Answer(IoCall call, string? path, SafeFileHandle? file) => null;

    public int Shorten(IoCall call, int length)
    {
        lock (_gate)
        {
            return _random.Next(1, length + 1);
        }
    }
}

/// <summary>Notes from which lines of some source files system calls are made. Thread-safe.</summary>
internal sealed class CallSites(string[] fileNames) : IIoFaults
{
    private readonly ConcurrentDictionary<(string File, int Line), bool> _lines = [];

    /// <summary>Whether a call was made from a line, counted from 1.</summary>
    internal bool Reached(string fileName, int line) => _lines.ContainsKey((fileName, line));

    public int? Answer(IoCall call, string? path, SafeFileHandle? file)
    {
        foreach (StackFrame frame in new StackTrace(fNeedFileInfo: true).GetFrames())
        {
            if (Path.GetFileName(frame.GetFileName()) is { } name && fileNames.Contains(name))
            {
                _lines.TryAdd((name, frame.GetFileLineNumber()), true);
                break;
            }
        }

        return null;
    }

    public int Shorten(IoCall call, int length) => length;
}
