using Quench.Interop.Linux;

namespace Quench.Tests.FileSystems;

/// <summary>Files whose blocks lie in every manner there is.</summary>
internal static class ManyFiles
{
    /// <summary>Small and large files in pieces, with holes and with room that was never written, in folders large enough to be hashed.</summary>
    public static async Task<string[]> WriteAsync(string folder, Random random)
    {
        byte[] bytes = new byte[300_000];
        random.NextBytes(bytes);
        string many = Directory.CreateDirectory(Path.Combine(folder, "many")).FullName;
        for (int index = 0; index < 600; index++)
        {
            File.WriteAllBytes(Path.Combine(many, $"a-rather-long-name-so-that-the-folder-grows-{index}"), bytes.AsSpan(0, random.Next(0, 9000)));
        }

        for (int index = 0; index < 600; index += 2)
        {
            File.Delete(Path.Combine(many, $"a-rather-long-name-so-that-the-folder-grows-{index}"));
        }

        string shapes = Directory.CreateDirectory(Path.Combine(folder, "shapes", "deeper")).FullName;
        using (FileStream one = File.Create(Path.Combine(shapes, "in-turn-1")), other = File.Create(Path.Combine(shapes, "in-turn-2")))
        {
            for (int piece = 0; piece < 300; piece++)
            {
                foreach (FileStream file in new[] { one, other })
                {
                    file.Write(bytes.AsSpan(0, 5000));
                    file.Flush();
                    if (piece % 10 == 0)
                    {
                        NativeFile.Sync(file.SafeFileHandle); // allocates what the kernel would otherwise put together
                    }
                }
            }
        }

        for (int index = 0; index < 20; index++)
        {
            using FileStream sparse = File.Create(Path.Combine(shapes, $"sparse-{index}"));
            for (int piece = 0; piece < 5; piece++)
            {
                sparse.Seek(random.Next(1 << random.Next(12, 29)), SeekOrigin.Begin);
                sparse.Write(bytes.AsSpan(0, random.Next(1, 20_000)));
            }
        }

        using (FileStream holes = File.Create(Path.Combine(shapes, "full-of-holes")))
        {
            for (int piece = 0; piece < 1200; piece++)
            {
                holes.Seek(piece * 32_768L, SeekOrigin.Begin);
                holes.Write(bytes.AsSpan(piece, 700));
            }
        }

        await Tool.TryRunAsync("fallocate", "-l", "700000", Path.Combine(shapes, "never-written"));
        await Tool.TryRunAsync("fallocate", "-n", "-l", "900000", Path.Combine(shapes, "sparse-1"));
        File.WriteAllText(Path.Combine(shapes, "tiny"), "x");
        File.CreateSymbolicLink(Path.Combine(folder, "link"), "shapes/deeper/tiny");
        return [.. Directory.EnumerateFiles(folder, "*", SearchOption.AllDirectories).Select(path => "/" + Path.GetRelativePath(folder, path))];
    }
}
