#if DEBUG
using System.Runtime.InteropServices;
#else
using System.Runtime.CompilerServices;
#endif
using Microsoft.Win32.SafeHandles;

namespace Quench.Interop.Linux;

/// <summary>The system calls that tests may answer in the kernel's place.</summary>
internal enum IoCall
{
    /// <summary>open(2).</summary>
    Open,

    /// <summary>pread(2).</summary>
    Read,

    /// <summary>pwrite(2).</summary>
    Write,

    /// <summary>fsync(2) of a file.</summary>
    Sync,

    /// <summary>fsync(2) of a directory.</summary>
    SyncDirectory,

    /// <summary>renameat2(2).</summary>
    Rename,

    /// <summary>statx(2).</summary>
    Status,

    /// <summary>lseek(2) to the end.</summary>
    Length,

    /// <summary>unlink(2).</summary>
    Delete,

    /// <summary>mkdir(2).</summary>
    MakeDirectory,

    /// <summary>getdents64(2).</summary>
    ReadDirectory,

    /// <summary>flock(2).</summary>
    Lock,

    /// <summary>linkat(2).</summary>
    Link,

    /// <summary>renameat2(2), RENAME_EXCHANGE.</summary>
    Exchange,
}

/// <summary>Whoever answers system calls in the kernel's place. Called from many threads.</summary>
internal interface IIoFaults
{
    /// <summary>Asked before a call is made.</summary>
    /// <param name="call">Which.</param>
    /// <param name="path">What it is made on, when it is made on a path.</param>
    /// <param name="file">What it is made on, when it is made on a handle.</param>
    /// <returns>Null: let the kernel answer. 0: success, without anything being done. Otherwise the error number.</returns>
    int? Answer(IoCall call, string? path, SafeFileHandle? file);

    /// <summary>Asked before a transfer.</summary>
    /// <returns>How much of it the kernel is asked for: 1 up to <paramref name="length"/>.</returns>
    int Shorten(IoCall call, int length);
}

/// <summary>
/// Where tests stand between <see cref="NativeFile"/> and the kernel. Debug builds ask whoever was named for the present flow of control; in release
/// builds each method is a constant, and nothing is left of it.
/// </summary>
internal static class FaultPoint
{
#if DEBUG
    private static readonly AsyncLocal<IIoFaults?> s_faults = new();

    /// <summary>Whether this build has fault points.</summary>
    internal static bool Exists => true;

    /// <summary>Sets who answers for this flow of control and what it starts; null for nobody.</summary>
    internal static void Set(IIoFaults? faults) => s_faults.Value = faults;

    /// <summary>Whether a call is answered here, and must not be made.</summary>
    /// <param name="call">Which.</param>
    /// <param name="path">Its path, if it has one.</param>
    /// <param name="file">Its handle, if it has one.</param>
    /// <param name="result">What the call would have returned: 0, or -1 with the error number set.</param>
    internal static bool Answers(IoCall call, string? path, SafeFileHandle? file, out int result)
    {
        int? answer = s_faults.Value?.Answer(call, path, file);
        result = answer is null or 0 ? 0 : -1;
        if (answer is > 0 and int error)
        {
            Marshal.SetLastPInvokeError(error);
        }

        return answer is not null;
    }

    /// <summary>How much of a transfer is asked of the kernel at once.</summary>
    internal static int Shorten(IoCall call, int length) => s_faults.Value?.Shorten(call, length) ?? length;
#else
    /// <summary>Whether this build has fault points.</summary>
    internal static bool Exists => false;

    /// <summary>Can't be done in this build.</summary>
    internal static void Set(IIoFaults? faults) => throw new NotSupportedException("fault points are in debug builds only");

    /// <summary>Never.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static bool Answers(IoCall call, string? path, SafeFileHandle? file, out int result)
    {
        result = 0;
        return false;
    }

    /// <summary>All of it.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static int Shorten(IoCall call, int length) => length;
#endif
}
