namespace Quench.Tests.Vault.Index;

/// <summary>Reads a file that may be locked for a moment: a process that another test starts holds every open file, and with it the lock, until it runs its own program.</summary>
internal static class LockedFile
{
    private const int MostTries = 2000; // each of the later ones waits a millisecond

    public static byte[] ReadAllBytes(string path)
    {
        SpinWait spin = default;
        while (true)
        {
            try
            {
                return File.ReadAllBytes(path);
            }
            catch (IOException) when (File.Exists(path) && spin.Count < MostTries)
            {
                spin.SpinOnce();
            }
        }
    }
}
