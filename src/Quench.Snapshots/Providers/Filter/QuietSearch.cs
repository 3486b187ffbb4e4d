using System.Diagnostics;
using Microsoft.Win32.SafeHandles;
using Quench.Blocks;
using Quench.Interop.Linux;

namespace Quench.Snapshots.Providers.Filter;

/// <summary>
/// Looks for a pause between the writes of a volume. What a file system has kept back is no pause but a delay: it is made to write it out before the pause begins
/// and once more at its end, and whatever comes of that counts as writing.
/// </summary>
internal sealed class QuietSearch : IDisposable
{
    private static readonly TimeSpan s_slice = TimeSpan.FromSeconds(2); // one question to the worker; between two, the search can be cancelled

    private readonly QuietWait _wish;
    private readonly string _name;
    private readonly string? _mountPoint;
    private readonly ControlClient _client;
    private readonly long _since = Stopwatch.GetTimestamp();
    private TimeSpan _quiet;
    private int _attempts;

    /// <summary>Begins to count the time.</summary>
    /// <param name="volume">The volume.</param>
    /// <param name="wish">What is wanted.</param>
    /// <param name="freezes">Whether its file system, if it is mounted, will be frozen: then it may be made to write out, too.</param>
    internal QuietSearch(AttachedVolume volume, QuietWait wish, bool freezes)
    {
        _wish = wish;
        _name = volume.Name;
        _mountPoint = freezes ? volume.MountPoint : null;
        _client = ControlClient.Connect(volume.Name);
    }

    /// <summary>How many writes had been announced when the pause was found.</summary>
    internal long WritesBefore { get; private set; }

    private TimeSpan Left => _wish.Limit - Stopwatch.GetElapsedTime(_since);

    /// <summary>Waits for a pause, or for the end of the time.</summary>
    /// <exception cref="QuenchException">SNAP-109: there was none, and one is required.</exception>
    internal void Wait(CancellationToken cancellationToken)
    {
        _attempts++;
        do
        {
            cancellationToken.ThrowIfCancellationRequested();
            WriteOut();
            TimeSpan limit = Left < s_slice + _wish.Period ? Left : s_slice + _wish.Period;
            ControlReply found = _client.Ask(new ControlRequest
            {
                Op = "quiet",
                PeriodMilliseconds = _wish.Period.TotalMilliseconds,
                LimitMilliseconds = Math.Max(0, limit.TotalMilliseconds),
            });
            WriteOut();
            WritesBefore = _client.Ask(new ControlRequest { Op = "ping" }).WriteCount;
            _quiet = WritesBefore == found.WriteCount ? TimeSpan.FromMilliseconds(found.QuietMilliseconds) : TimeSpan.Zero;
        }
        while (_quiet < _wish.Period && Left > TimeSpan.Zero);

        DemandQuiet(_quiet >= _wish.Period);
    }

    /// <summary>A snapshot was taken: does it stay, or is there time for another one?</summary>
    /// <param name="slipped">Whether a write slipped in before the instant.</param>
    /// <returns>Null when another one is to be taken.</returns>
    /// <exception cref="QuenchException">SNAP-109: the time is over, the instant is in no pause, and one is required.</exception>
    internal QuietFound? Judge(bool slipped)
    {
        bool isFound = !slipped && _quiet >= _wish.Period;
        if (!isFound && Left > TimeSpan.Zero)
        {
            return null;
        }

        DemandQuiet(isFound);
        return new QuietFound(Stopwatch.GetElapsedTime(_since), isFound ? _quiet : TimeSpan.Zero, _attempts, isFound);
    }

    /// <inheritdoc/>
    public void Dispose() => _client.Dispose();

    private void WriteOut()
    {
        if (_mountPoint is not null)
        {
            using SafeFileHandle root = NativeFile.Open(_mountPoint, OpenMode.ReadOnly | OpenMode.Directory);
            NativeFile.SyncFileSystem(root);
        }
    }

    private void DemandQuiet(bool isFound)
    {
        if (!isFound && _wish.IsRequired)
        {
            throw new QuenchException(
                "SNAP-109",
                $"volume {_name} had no pause of {_wish.Period.TotalSeconds:0.###} s between writes within {_wish.Limit.TotalSeconds:0.#} s",
                "wait longer with --quiet-wait, ask for a shorter pause with --quiet-period, or leave --require-quiet out")
            {
                Effect = "no snapshot was taken; the volume itself is unaffected",
                ExitCode = 11,
                CanRetry = true,
            };
        }
    }
}
