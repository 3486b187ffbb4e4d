using System.Buffers.Binary;
using System.Text.Json;
using Microsoft.Win32.SafeHandles;
using Quench.Blocks;
using Quench.Interop.Linux;

namespace Quench.Snapshots.Store.Clones;

/// <summary>The copying process's side of a background clone: what it leaves for others to read. For one thread at a time.</summary>
public sealed class CloneReporter : IDisposable
{
    private const int ProgressLength = 2 * sizeof(long);

    private readonly CloneFolder _folder;
    private readonly SafeFileHandle _lock;
    private readonly SafeFileHandle _progress;

    private CloneReporter(CloneFolder folder, SafeFileHandle @lock, SafeFileHandle progress)
    {
        _folder = folder;
        _lock = @lock;
        _progress = progress;
    }

    /// <summary>Makes the clone known. Whoever waits for its beginning is told by a line on <paramref name="output"/>.</summary>
    /// <param name="id">What <see cref="BackgroundClones.StartAsync"/> called it.</param>
    /// <param name="job">What is copied where.</param>
    /// <param name="output">Standard output; nothing else is ever written to it, because nobody may be reading any more.</param>
    /// <exception cref="QuenchException">SNAP-190: another process is this clone's already.</exception>
    public static CloneReporter Begin(string id, CloneJob job, TextWriter output)
    {
        CloneFolder folder = CloneFolder.Of(id);
        SafeFileHandle held = NativeFile.Open(folder.Lock, OpenMode.ReadWrite | OpenMode.Create);
        if (!AdvisoryLock.TryTake(held))
        {
            held.Dispose();
            throw new QuenchException("SNAP-190", $"another process is copying as background clone {id}", "start another one: quench snapshot clone --background") { Effect = "nothing was touched" };
        }

        SafeFileHandle progress = NativeFile.Open(folder.Progress, OpenMode.ReadWrite | OpenMode.Create);
        CloneReporter reporter = new(folder, held, progress);
        reporter.Tell(0, 0);
        Publish(folder.Job, JsonSerializer.SerializeToUtf8Bytes(job, CloneJson.Default.CloneJob));
        output.WriteLine(BackgroundClones.Begun);
        output.Flush();
        return reporter;
    }

    /// <summary>Says how far it is.</summary>
    public void Tell(long bytesDone, long bytesTotal)
    {
        Span<byte> figures = stackalloc byte[ProgressLength];
        BinaryPrimitives.WriteInt64LittleEndian(figures, bytesDone);
        BinaryPrimitives.WriteInt64LittleEndian(figures[sizeof(long)..], bytesTotal);
        NativeFile.Write(_progress, figures, 0);
    }

    /// <summary>Says how it ended, once.</summary>
    public void End(CloneOutcome outcome) => Publish(_folder.Outcome, JsonSerializer.SerializeToUtf8Bytes(outcome, CloneJson.Default.CloneOutcome));

    /// <summary>Lets others see that this process copies no more.</summary>
    public void Dispose()
    {
        _progress.Dispose();
        _lock.Dispose();
    }

    internal static (long Done, long Total) ReadProgress(CloneFolder folder)
    {
        byte[] figures = File.ReadAllBytes(folder.Progress);
        return figures.Length < ProgressLength
            ? (0, 0)
            : (BinaryPrimitives.ReadInt64LittleEndian(figures), BinaryPrimitives.ReadInt64LittleEndian(figures.AsSpan(sizeof(long))));
    }

    /// <summary>Puts a file there whole, or not at all.</summary>
    private static void Publish(string path, byte[] content)
    {
        string unfinished = path + ".new";
        File.WriteAllBytes(unfinished, content);
        if (!NativeFile.TryRenameNoReplace(unfinished, path))
        {
            throw new InvalidOperationException($"{path} was written twice");
        }
    }
}
