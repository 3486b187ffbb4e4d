using System.Runtime.InteropServices;

namespace Quench.Interop.Linux;

/// <summary>Names that change places.</summary>
public static unsafe partial class NativeFile
{
    private const uint RENAME_EXCHANGE = 2;

    /// <summary>Gives a file a second name in the same file system. (linkat(2))</summary>
    /// <returns>False when there is no such file; nothing has changed then.</returns>
    public static bool TryLink(string path, string secondName)
    {
        int result = FaultPoint.Answers(IoCall.Link, secondName, null, out int answer) ? answer : LibC.linkat(AT_FDCWD, path, AT_FDCWD, secondName, 0);
        if (result == 0)
        {
            return true;
        }

        return Marshal.GetLastPInvokeError() == (int)Errno.ENOENT ? false : throw LinuxErrorException.FromLastError($"link {path} to", secondName);
    }

    /// <summary>Exchanges what two names stand for, in one step. (renameat2(2), RENAME_EXCHANGE)</summary>
    /// <returns>False when one of them is not there; nothing has changed then.</returns>
    public static bool TryExchange(string one, string other)
    {
        int result = FaultPoint.Answers(IoCall.Exchange, one, null, out int answer)
            ? answer
            : LibC.renameat2(AT_FDCWD, one, AT_FDCWD, other, RENAME_EXCHANGE);
        if (result == 0)
        {
            return true;
        }

        return Marshal.GetLastPInvokeError() == (int)Errno.ENOENT ? false : throw LinuxErrorException.FromLastError($"exchange {one} with", other);
    }
}
