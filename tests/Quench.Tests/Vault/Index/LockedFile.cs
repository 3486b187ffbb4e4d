using Microsoft.Win32.SafeHandles;
using Quench.Interop.Linux;

namespace Quench.Tests.Vault.Index;

/// <summary>
/// Reads a file without a lock, which <see cref="File"/> would take: a process that another test starts holds every open file, and with it the lock of whoever had it open, until it runs its own program.
/// </summary>
internal static class LockedFile
{
    public static byte[] ReadAllBytes(string path)
    {
        using SafeFileHandle file = NativeFile.Open(path, OpenMode.ReadOnly);
        byte[] bytes = new byte[NativeFile.GetLength(file)];
        return NativeFile.Read(file, bytes, 0) == bytes.Length ? bytes : throw new EndOfStreamException(path);
    }
}
