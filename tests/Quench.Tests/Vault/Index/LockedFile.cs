namespace Quench.Tests.Vault.Index;

/// <summary>Reads a file that may be locked: a process that another test starts at that moment holds every open file, and with it the lock, until it runs its own program.</summary>
internal static class LockedFile
{
    public static byte[] ReadAllBytes(string path)
    {
        using FileStream file = new(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite); // takes no lock and looks for none
        byte[] bytes = new byte[file.Length];
        file.ReadExactly(bytes);
        return bytes;
    }
}
