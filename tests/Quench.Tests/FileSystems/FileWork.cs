namespace Quench.Tests.FileSystems;

/// <summary>What is done in a mounted folder to leave files of many shapes and free space in many pieces.</summary>
internal static class FileWork
{
    /// <summary>Writes files and deletes some of them; stops quietly where the file system is full.</summary>
    public static void Do(string folder, Random random, long room)
    {
        byte[] bytes = new byte[200_000];
        random.NextBytes(bytes);
        int most = (int)Math.Clamp(room / 3 / 100_000, 2, 120);
        int files = random.Next(1, most + 1);
        for (int index = 0; index < files; index++)
        {
            string below = Directory.CreateDirectory(Path.Combine(folder, $"folder{index % 4}")).FullName;
            File.WriteAllBytes(Path.Combine(below, $"file{index}"), bytes.AsSpan(0, random.Next(bytes.Length >> random.Next(8))));
        }

        for (int index = 0; index < files; index += random.Next(1, 4))
        {
            File.Delete(Path.Combine(folder, $"folder{index % 4}", $"file{index}"));
        }
    }
}
