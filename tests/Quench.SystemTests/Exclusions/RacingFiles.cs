using System.Buffers.Binary;
using Microsoft.Win32.SafeHandles;
using Quench.Interop.Linux;

namespace Quench.SystemTests.Exclusions;

/// <summary>
/// Two folders, "keep" and "cache", whose files are made, overwritten, lengthened, deleted, renamed over one another from folder to folder and given second names, without a pause in which
/// nothing could happen. Every block says whose it is and which, and none is ever zero: so a file that was kept shows each block that it lost, and each that is another's.
/// </summary>
internal sealed class RacingFiles : IAsyncDisposable
{
    internal const string Keep = "keep";
    internal const string Cache = "cache";

    private const int Block = 4096;
    private const int Names = 40;
    private const int MostBlocks = 48;

    private static readonly TimeSpan s_pace = TimeSpan.FromMilliseconds(2); // a volume that is written faster than it can be read has no instant

    private readonly CancellationTokenSource _stop = new();
    private readonly Task<long> _work;

    private RacingFiles(string root, Random random) => _work = Task.Run(() => WorkAsync(root, random, _stop.Token));

    /// <summary>Whether it still writes: a writer that died has shown nothing.</summary>
    internal bool IsRunning => !_work.IsCompleted;

    /// <summary>Fills both folders and begins.</summary>
    internal static RacingFiles Start(string root, Random random)
    {
        Directory.CreateDirectory(Path.Combine(root, Keep));
        Directory.CreateDirectory(Path.Combine(root, Cache));
        for (int name = 0; name < Names; name++)
        {
            Make(NameOf(root, random), random);
        }

        return new RacingFiles(root, random);
    }

    /// <summary>Ends it.</summary>
    /// <returns>How many things it did.</returns>
    internal async Task<long> StopAsync()
    {
        await _stop.CancelAsync();
        return await _work;
    }

    /// <summary>Holds both folders, restored, against what the writer keeps to.</summary>
    /// <param name="root">Where the restored volume is mounted.</param>
    /// <param name="leftOut">Whether "cache" was left out.</param>
    /// <returns>How many files were zeros.</returns>
    internal static int Check(string root, bool leftOut)
    {
        Dictionary<ulong, string[]> names = new[] { Keep, Cache }.SelectMany(folder => Directory.EnumerateFiles(Path.Combine(root, folder)))
            .GroupBy(path => NativeFile.TryGetStatus(path)!.Value.Inode)
            .ToDictionary(group => group.Key, group => group.ToArray());
        int zeros = 0;
        foreach (string[] paths in names.Values)
        {
            byte[] content = File.ReadAllBytes(paths[0]);
            bool isOut = leftOut && paths.All(path => path.StartsWith(Path.Combine(root, Cache) + "/", StringComparison.Ordinal));
            if (isOut && content.AsSpan().ContainsAnyExcept((byte)0))
            {
                throw new InvalidDataException($"{paths[0]} was to be left out and holds data");
            }

            zeros += isOut && content.Length > 0 ? 1 : 0;
            if (!isOut)
            {
                Check(paths[0], content);
            }
        }

        return zeros;
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await Task.WhenAny(_work);
        _stop.Dispose();
    }

    private static void Check(string path, byte[] content)
    {
        ulong? file = null;
        for (int at = 0; at < content.Length; at += Block)
        {
            ReadOnlySpan<byte> block = content.AsSpan(at, Math.Min(Block, content.Length - at));
            ulong whose = BinaryPrimitives.ReadUInt64LittleEndian(block);
            file ??= whose;
            bool isRight = block.Length == Block && whose == file && whose != 0 && BinaryPrimitives.ReadUInt64LittleEndian(block[8..]) == (ulong)(at / Block)
                && !block[24..].ContainsAnyExcept(FillOf(whose));
            if (!isRight)
            {
                throw new InvalidDataException($"{path}, of {content.Length} bytes: block {at / Block} is not what was written there (it says file {whose}, the file is {file})");
            }
        }
    }

    private static async Task<long> WorkAsync(string root, Random random, CancellationToken cancellationToken)
    {
        long done = 0;
        using PeriodicTimer pace = new(s_pace);
        while (!cancellationToken.IsCancellationRequested)
        {
            Act(root, random);
            done++;
            await pace.WaitForNextTickAsync(CancellationToken.None);
        }

        return done;
    }

    private static void Act(string root, Random random)
    {
        string one = NameOf(root, random);
        string other = NameOf(root, random);
        switch (random.Next(8))
        {
            case 0 or 1:
                string temporary = Path.Combine(Path.GetDirectoryName(one)!, "new");
                File.Delete(temporary);
                Make(temporary, random);
                Replace(temporary, one);
                break;
            case 2 or 3 when File.Exists(one):
                Replace(one, other);
                break;
            case 4 when File.Exists(one):
                Overwrite(one, random);
                break;
            case 5 when File.Exists(one):
                File.Delete(one);
                break;
            case 6 when File.Exists(one) && !File.Exists(other):
                NativeFile.TryLink(one, other);
                break;
            default:
                break;
        }
    }

    private static void Replace(string from, string to)
    {
#pragma warning disable RS0030 // both are on one volume, and nothing depends on what is durable when
        File.Move(from, to, overwrite: true);
#pragma warning restore RS0030
    }

    private static string NameOf(string root, Random random) => Path.Combine(root, random.Next(2) == 0 ? Keep : Cache, $"file-{random.Next(Names)}");

    private static void Make(string path, Random random)
    {
        ulong file = (ulong)random.NextInt64(1, long.MaxValue);
        using FileStream stream = File.Create(path);
        stream.Write(BlocksOf(file, 0, random.Next(1, MostBlocks), random));
        stream.Flush();
        if (random.Next(4) == 0)
        {
            NativeFile.Sync(stream.SafeFileHandle);
        }
    }

    /// <summary>Writes some blocks again, and sometimes some behind them.</summary>
    private static void Overwrite(string path, Random random)
    {
        using SafeFileHandle file = File.OpenHandle(path, FileMode.Open, FileAccess.ReadWrite);
        int blocks = (int)(RandomAccess.GetLength(file) / Block);
        byte[] first = new byte[8];
        if (blocks > 0 && RandomAccess.Read(file, first, 0) == 8)
        {
            int from = random.Next(blocks);
            RandomAccess.Write(file, BlocksOf(BinaryPrimitives.ReadUInt64LittleEndian(first), from, random.Next(1, MostBlocks - from + 2), random), from * (long)Block);
        }
    }

    private static byte[] BlocksOf(ulong file, int first, int count, Random random)
    {
        byte[] bytes = new byte[count * Block];
        bytes.AsSpan().Fill(FillOf(file));
        for (int index = 0; index < count; index++)
        {
            Span<byte> block = bytes.AsSpan(index * Block, 24);
            BinaryPrimitives.WriteUInt64LittleEndian(block, file);
            BinaryPrimitives.WriteUInt64LittleEndian(block[8..], (ulong)(first + index));
            random.NextBytes(block[16..]);
        }

        return bytes;
    }

    private static byte FillOf(ulong file) => (byte)(1 + (file % 251));
}
