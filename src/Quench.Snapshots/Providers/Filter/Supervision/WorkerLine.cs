using Microsoft.Win32.SafeHandles;
using Quench.Interop.Linux;

namespace Quench.Snapshots.Providers.Filter.Supervision;

/// <summary>What holder and worker say to each other. Numbers are never reused: the two may be of different versions.</summary>
internal enum LineWord
{
    /// <summary>Nothing was said.</summary>
    None = 0,

    /// <summary>To a worker: serve. Nobody else does.</summary>
    Go = 1,

    /// <summary>To a worker: answer what you have, close your books, end.</summary>
    Drain = 2,

    /// <summary>To a worker: there will be no upgrade.</summary>
    UpgradeRefused = 3,

    /// <summary>To a worker: the device is gone; close your books for good, end.</summary>
    DeviceGone = 4,

    /// <summary>To a worker: the device is in use and stays.</summary>
    DeviceBusy = 5,

    /// <summary>To the holder: warm, waiting for the word.</summary>
    Ready = 65,

    /// <summary>To the holder: serving.</summary>
    Serving = 66,

    /// <summary>To the holder: detach the device.</summary>
    Detach = 67,

    /// <summary>To the holder: start a worker from the program that is on disk now, and let it take over.</summary>
    Upgrade = 68,

    /// <summary>To the holder: the books of a volume whose device is gone are closed, and nothing of this process touches the origin any more. Its end may take long.</summary>
    Closed = 69,

    /// <summary>The other side is gone.</summary>
    Gone = 255,
}

/// <summary>A message: always 16 bytes.</summary>
/// <remarks>
/// <code>
///   0      1                      2                   3 … 16
///   ├ word ┼ Go: mode             ┼ Go: takes over ───┼ zero ┤
///          ┼ Ready: protocol      ┤
/// </code>
/// </remarks>
internal readonly record struct LineMessage(LineWord Word, byte Detail = 0, byte More = 0)
{
    private const int Size = 16;

    internal static LineMessage Go(WorkerMode mode, bool takesOver) => new(LineWord.Go, (byte)mode, takesOver ? (byte)1 : (byte)0);

    /// <summary>Sends it without waiting.</summary>
    /// <returns>False when the other side is gone or does not listen.</returns>
    internal bool TrySend(SafeFileHandle line)
    {
        Span<byte> bytes = stackalloc byte[Size];
        bytes.Clear();
        bytes[0] = (byte)Word;
        bytes[1] = Detail;
        bytes[2] = More;
        return MessagePair.TrySend(line, bytes);
    }

    /// <summary>Takes the next one.</summary>
    /// <returns>None when there is none and we do not wait; Gone when there will be none.</returns>
    internal static LineMessage Receive(SafeFileHandle line, bool wait)
    {
        Span<byte> bytes = stackalloc byte[Size];
        int count = MessagePair.Receive(line, bytes, wait);
        return count switch
        {
            -1 => default,
            0 => new LineMessage(LineWord.Gone),
            _ => new LineMessage((LineWord)bytes[0], bytes[1], bytes[2]),
        };
    }
}
