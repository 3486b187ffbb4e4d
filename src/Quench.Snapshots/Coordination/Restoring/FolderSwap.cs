using System.Text.Json;
using Microsoft.Win32.SafeHandles;
using Quench.Interop.Linux;

namespace Quench.Snapshots.Coordination.Restoring;

/// <summary>
/// Does the renames of a swap, and takes them back when one fails. They are written down first: when the process dies between two of them, the next run takes them back
/// (<see cref="TakeBack"/>). Nothing is ever removed here.
/// </summary>
/// <param name="steps">In order.</param>
/// <param name="journals">Files that are there exactly while the swap is under way, all of one content: one in each folder that somebody may look into who cleans up.</param>
public sealed class FolderSwap(IReadOnlyList<SwapStep> steps, IReadOnlyList<string> journals)
{
    /// <summary>What the names begin with under which what was there is kept.</summary>
    public const string KeptPrefix = ".quench-before-";

    private const int MakeMode = 0x1C0; // 0700: what is kept is its owners' business

    private SwapStep[] _steps = [.. steps];
    private int _done;

    /// <summary>Does all of it, or nothing.</summary>
    /// <exception cref="SwapException">It could not be done; says whether everything is as it was.</exception>
    public void Run()
    {
        try
        {
            _steps = [.. _steps.Select(step => step with { OldNumber = NumberOf(step.Live) })];
            WriteJournals();
            foreach (SwapStep step in _steps)
            {
                _done++; // before it: half a step is taken back too
                Do(step);
            }

            Sync();
        }
        catch (Exception failure) when (failure is IOException or LinuxErrorException or UnauthorizedAccessException)
        {
            throw new SwapException(failure.Message, Undo(), failure);
        }
    }

    /// <summary>Takes everything back that was done.</summary>
    /// <returns>What could not be taken back; empty when everything is as it was.</returns>
    public IReadOnlyList<SwapStep> Undo()
    {
        List<SwapStep> left = Undo(_steps.Take(_done));
        if (left.Count == 0)
        {
            Sync();
            Settle();
        }

        return left;
    }

    /// <summary>It shall stand: it can't be taken back from now on.</summary>
    public void Settle()
    {
        foreach (string journal in journals)
        {
            NativeFile.TryDelete(journal);
        }
    }

    /// <summary>Takes back what a process that died had done of a swap. One that had come to its end stands.</summary>
    /// <param name="journal">Its journal; gone afterwards.</param>
    /// <param name="left">What could not be taken back, and is as it was found; the journal stays then.</param>
    /// <returns>True when anything was taken back, or should have been.</returns>
    public static bool TakeBack(string journal, out IReadOnlyList<SwapStep> left)
    {
        SwapStep[] steps;
        try
        {
            steps = JsonSerializer.Deserialize<SwapStep[]>(File.ReadAllText(journal)) ?? [];
        }
        catch (JsonException)
        {
            steps = []; // it was not finished, so nothing was renamed
        }

        bool isUnfinished = steps.Any(IsHalf) || (steps.Any(IsDone) && !steps.All(IsDone));
        left = isUnfinished ? Undo(steps) : [];
        if (left.Count == 0)
        {
            NativeFile.TryDelete(journal);
        }

        return isUnfinished;
    }

    private static bool IsDone(SwapStep step) =>
        (step.New is null || !IsThere(step.New)) && (step.Kept is null || (IsThere(step.Kept) && NumberOf(step.Kept) == step.OldNumber));

    /// <summary>Between the two renames of one step: what was there is where what comes was, or is kept already while that has not come.</summary>
    private static bool IsHalf(SwapStep step) => step is { OldNumber: not 0, New: { } fresh, Kept: { } kept }
        && (NumberOf(fresh) == step.OldNumber || (IsThere(fresh) && NumberOf(kept) == step.OldNumber));

    private static void Do(SwapStep step)
    {
        if (step.Kept is { } kept)
        {
            MakeFolders(Path.GetDirectoryName(kept)!);
        }

        if (step is { New: { } fresh, Kept: { } old } && TryExchange(step.Live, fresh))
        {
            Rename(fresh, old);
            return;
        }

        if (step.Kept is not null)
        {
            Rename(step.Live, step.Kept);
        }

        if (step.New is not null)
        {
            Rename(step.New, step.Live);
        }
    }

    private static List<SwapStep> Undo(IEnumerable<SwapStep> done)
    {
        List<SwapStep> left = [];
        foreach (SwapStep step in done.Reverse())
        {
            try
            {
                Undo(step);
            }
            catch (Exception failure) when (failure is IOException or LinuxErrorException or UnauthorizedAccessException)
            {
                left.Add(step);
            }
        }

        return left;
    }

    /// <summary>What is where tells how far the step had come: what comes is never at two names, and neither is what was there.</summary>
    private static void Undo(SwapStep step)
    {
        switch (step)
        {
            case { New: { } fresh, Kept: { } kept }:
                string old = IsThere(kept) ? kept : fresh;
                if (step.OldNumber == 0 || NumberOf(old) != step.OldNumber)
                {
                    break; // nothing was done: what was there is there
                }

                if (!IsThere(step.Live))
                {
                    Rename(old, step.Live); // between the two renames of a file system that can't exchange
                }
                else if (TryExchange(step.Live, old))
                {
                    if (old != fresh)
                    {
                        Rename(old, fresh);
                    }
                }
                else
                {
                    Rename(step.Live, fresh);
                    Rename(old, step.Live);
                }

                break;
            case { Kept: { } kept }:
                if (IsThere(kept))
                {
                    Rename(kept, step.Live);
                }

                break;
            case { New: { } fresh }:
                if (!IsThere(fresh) && IsThere(step.Live))
                {
                    Rename(step.Live, fresh);
                }

                break;
            default:
                break;
        }

        for (string? folder = Path.GetDirectoryName(step.Kept); folder is not null && folder.Contains("/" + KeptPrefix, StringComparison.Ordinal); folder = Path.GetDirectoryName(folder))
        {
            if (!Directory.Exists(folder) || Directory.EnumerateFileSystemEntries(folder).Any())
            {
                break;
            }

            Directory.Delete(folder);
        }
    }

    private void WriteJournals()
    {
        byte[] text = JsonSerializer.SerializeToUtf8Bytes(_steps);
        foreach (string journal in journals)
        {
            using (SafeFileHandle file = NativeFile.Open(journal, OpenMode.WriteOnly | OpenMode.Create | OpenMode.Exclusive))
            {
                NativeFile.Write(file, text, 0);
                NativeFile.Sync(file);
            }

            NativeFile.SyncDirectory(Path.GetDirectoryName(journal)!);
        }
    }

    private void Sync()
    {
        foreach (string folder in _steps.Select(step => Path.GetDirectoryName(step.Live)!).Distinct().Where(Directory.Exists))
        {
            NativeFile.SyncDirectory(folder);
        }
    }

    private static bool TryExchange(string one, string other)
    {
        try
        {
            return NativeFile.TryExchange(one, other);
        }
        catch (LinuxErrorException failure) when (failure.Errno is Errno.EINVAL or Errno.ENOSYS or Errno.EOPNOTSUPP)
        {
            return false; // the file system can't: two renames then
        }
    }

    private static void Rename(string from, string to)
    {
        if (!NativeFile.TryRenameNoReplace(from, to))
        {
            throw new IOException($"{to} is there, and was not a moment ago");
        }
    }

    private static void MakeFolders(string folder)
    {
        if (NativeFile.TryGetStatus(folder) is null)
        {
            MakeFolders(Path.GetDirectoryName(folder)!);
            NativeFile.TryMakeDirectory(folder, MakeMode);
        }
    }

    private static ulong NumberOf(string path) => NativeFile.TryGetStatus(path, followLinks: false)?.Inode ?? 0;

    private static bool IsThere(string path) => NativeFile.TryGetStatus(path, followLinks: false) is not null;
}
