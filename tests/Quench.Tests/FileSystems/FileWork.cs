namespace Quench.Tests.FileSystems;

/// <summary>What is done in a folder to leave files of many shapes and free space in many pieces.</summary>
internal static class FileWork
{
    private const int Folders = 4;
    private const long MostFilledUp = 512L << 20;

    /// <summary>Writes files, deletes some of them, and lets others grow in turns into the holes; now and then until nothing is left. Stops quietly where the file system is full.</summary>
    /// <param name="folder">Where.</param>
    /// <param name="random">Decides everything.</param>
    /// <param name="room">Bytes that the file system has, about.</param>
    public static void Do(string folder, Random random, long room)
    {
        byte[] bytes = new byte[200_000];
        random.NextBytes(bytes);
        try
        {
            int files = random.Next(1, (int)Math.Clamp(room / 3 / 100_000, 2, 120) + 1);
            for (int index = 0; index < files; index++)
            {
                string below = Directory.CreateDirectory(Path.Combine(folder, $"folder{index % Folders}")).FullName;
                File.WriteAllBytes(Path.Combine(below, $"file{index}"), bytes.AsSpan(0, random.Next(bytes.Length >> random.Next(8))));
            }

            for (int index = 0; index < files; index += random.Next(1, 4))
            {
                File.Delete(Path.Combine(folder, $"folder{index % Folders}", $"file{index}"));
            }

            GrowInTurns(folder, bytes, random, Math.Min(room / 8, 6 << 20));
            if (random.Next(4) == 0 && room <= MostFilledUp)
            {
                FillUp(folder, bytes, random, room);
            }
        }
        catch (IOException)
        {
            // It is full: as good as any.
        }
    }

    /// <summary>Files that grow in turns, each piece to the disk at once, so that they lie among each other; then one of them is cut off.</summary>
    private static void GrowInTurns(string folder, byte[] bytes, Random random, long most)
    {
        string below = Directory.CreateDirectory(Path.Combine(folder, "a folder with a name that is rather long", "turns")).FullName;
        string[] names = [.. Enumerable.Range(0, random.Next(2, 6)).Select(index => Path.Combine(below, $"in turns {index}"))];
        for (long written = 0; written < most && random.Next(24) > 0;)
        {
            using FileStream file = new(names[random.Next(names.Length)], FileMode.Append, FileAccess.Write, FileShare.Read, bufferSize: 0, FileOptions.WriteThrough);
            int count = random.Next(1, 60_000);
            file.Write(bytes, 0, count);
            written += count;
        }

        string cut = names[random.Next(names.Length)];
        if (File.Exists(cut))
        {
            using FileStream file = new(cut, FileMode.Open);
            file.SetLength(file.Length / 3);
        }
    }

    /// <summary>One file that takes the rest, half of which is sometimes given back.</summary>
    private static void FillUp(string folder, byte[] bytes, Random random, long room)
    {
        string rest = Path.Combine(folder, "the rest");
        try
        {
            using FileStream file = new(rest, FileMode.Create, FileAccess.Write, FileShare.None, bufferSize: 0);
            for (long written = 0; written < room; written += bytes.Length)
            {
                file.Write(bytes);
            }
        }
        catch (IOException) when (random.Next(2) == 0)
        {
            using FileStream file = new(rest, FileMode.Open);
            file.SetLength(file.Length / 2);
        }
    }
}
