using System.Globalization;
using Microsoft.Win32.SafeHandles;
using Quench.Interop.Linux;
using Quench.Vault.Keys;

namespace Quench.Vault.Index.Runs;

/// <summary>What was found in a cache.</summary>
/// <param name="Number">The state's number; 0 when there was none.</param>
/// <param name="State">What it says; null when there is nothing, or nothing sound.</param>
/// <param name="Runs">Its runs, open, the caller's; newest first.</param>
internal sealed record CacheContents(long Number, CacheState? State, RunFile[] Runs);

/// <summary>
/// Where an index puts its runs: a folder that lasts, or files without a name, or, when neither can be had, nowhere. It never fails: what goes wrong
/// with a cache is a warning. Used by one thread at a time; by any number of processes at once.
/// </summary>
/// <remarks>
/// <code>
///   state-00000007   names the runs, the packs and the index objects they stand for; 8 takes its place, if nobody else has put an 8
///   run-…            immutable
///   .tmp-…           being written, or in use by one process only, which holds a lock on it
///   lock             held while a state is put and what it makes superfluous is deleted
/// </code>
/// Whoever finds that another process has put the next number goes on by itself and puts no more. Deleting any of the files at any time loses nothing:
/// who has them open reads on, and who finds them missing reads the vault instead.
/// </remarks>
internal sealed class IndexCache(VaultKeys keys, string? folder, string temporaryFolder)
{
    private const string StatePrefix = "state-";
    private const string RunPrefix = "run-";
    private const string TemporaryPrefix = ".tmp-";
    private const string LockName = "lock";
    private const int Attempts = 3;
    private const int MaxStateSize = 1 << 30;
    private const UnixFileMode FolderMode = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;

    private readonly List<string> _warnings = [];
    private bool _publishes = folder is not null;
    private long _number; // of the state that ours follows

    /// <summary>The place of files without a name when nobody says another.</summary>
    internal static string DefaultTemporaryFolder => Directory.Exists("/var/tmp") ? "/var/tmp" : Path.GetTempPath();

    /// <summary>What went wrong, one sentence each.</summary>
    internal IReadOnlyList<string> Warnings
    {
        get
        {
            lock (_warnings)
            {
                return [.. _warnings];
            }
        }
    }

    /// <summary>Whether what is written may still become part of a cache that lasts.</summary>
    internal bool Publishes => _publishes;

    /// <summary>Reads the newest state and opens its runs.</summary>
    internal CacheContents Load()
    {
        for (int attempt = 0; folder is not null && attempt < Attempts; attempt++)
        {
            try
            {
                long number = Newest();
                _number = number;
                if (number == 0)
                {
                    return new CacheContents(0, null, []);
                }

                if (TryReadState(number) is { } state && TryOpenRuns(state) is { } runs)
                {
                    return new CacheContents(number, state, runs);
                }

                if (Newest() == number)
                {
                    return new CacheContents(number, null, []); // nobody has replaced it meanwhile: so it is damaged
                }
            }
            catch (Exception failure) when (IsTrouble(failure))
            {
                Warn($"the index cache in {folder} can't be read ({failure.Message}); the vault's index objects are read instead");
                _publishes = false;
                break;
            }
        }

        return new CacheContents(0, null, []);
    }

    /// <summary>Writes a run.</summary>
    /// <param name="records">The records, in order; asked again when the first place had no room.</param>
    /// <param name="mostRecords">At most so many.</param>
    /// <returns>The run, the caller's; null when there is no room for it anywhere.</returns>
    internal RunFile? TryWrite(Func<IEnumerable<IndexRecord>> records, int mostRecords)
    {
        if (_publishes)
        {
            try
            {
                Directory.CreateDirectory(folder!, FolderMode);
                return Write(records(), mostRecords, folder!, named: true);
            }
            catch (Exception failure) when (IsTrouble(failure))
            {
                Warn($"the index cache in {folder} can't be written ({failure.Message}); it is not renewed, so opening the vault takes longer");
                _publishes = false;
            }
        }

        try
        {
            return Write(records(), mostRecords, temporaryFolder, named: false);
        }
        catch (Exception failure) when (IsTrouble(failure))
        {
            Warn($"the index has no room in {temporaryFolder} either ({failure.Message}); all of it is kept in memory");
            return null;
        }
    }

    /// <summary>Puts a state, if nobody else has put one since ours was read, and deletes what it makes superfluous.</summary>
    /// <returns>False when it was not put.</returns>
    internal bool TryPublish(CacheState state, IReadOnlyList<RunFile> runs)
    {
        if (!_publishes)
        {
            return false;
        }

        try
        {
            using SafeFileHandle gate = NativeFile.Open(PathOf(LockName), OpenMode.ReadWrite | OpenMode.Create | OpenMode.NoFollow);
            if (!AdvisoryLock.TryTake(gate))
            {
                return false; // another one is at it; we may come again
            }

            if (Newest() != _number)
            {
                Withdraw(runs);
                return false;
            }

            Name(runs);
            Put(state.Seal(keys, _number + 1), _number + 1);
            _number++;
            Sweep(state.Runs);
            return true;
        }
        catch (Exception failure) when (IsTrouble(failure))
        {
            Warn($"the index cache in {folder} can't be renewed ({failure.Message})");
            Withdraw(runs);
            return false;
        }
    }

    /// <summary>Puts no states any more: somebody else's is better than ours can be.</summary>
    internal void StandBack() => _publishes = false;

    /// <summary>Deletes the cache.</summary>
    /// <param name="always">Also when another process has put a newer state than the one that was read here.</param>
    /// <returns>Whether nothing of it is left.</returns>
    internal bool TryDrop(bool always)
    {
        if (folder is null || !Directory.Exists(folder))
        {
            return true;
        }

        try
        {
            using SafeFileHandle gate = NativeFile.Open(PathOf(LockName), OpenMode.ReadWrite | OpenMode.Create | OpenMode.NoFollow);
            if (AdvisoryLock.TryTake(gate) && (always || Newest() == _number))
            {
                DeleteStates(below: long.MaxValue);
                Sweep([]);
                _number = 0;
                return true;
            }
        }
        catch (Exception failure) when (IsTrouble(failure))
        {
            Warn($"the index cache in {folder} can't be deleted ({failure.Message})");
        }

        _publishes = false;
        return false;
    }

    private static bool IsTrouble(Exception failure) => failure is IOException or UnauthorizedAccessException;

    private void Warn(string what)
    {
        lock (_warnings)
        {
            _warnings.Add(what);
        }
    }

    private string PathOf(string name) => Path.Combine(folder!, name);

    private string PathOfState(long number) => PathOf(StatePrefix + number.ToString("D8", CultureInfo.InvariantCulture));

    private string PathOfRun(Guid id) => PathOf(RunPrefix + id.ToString("N"));

    private long Newest()
    {
        long newest = 0;
        if (Directory.Exists(folder))
        {
            foreach (string path in Directory.EnumerateFiles(folder, StatePrefix + "*"))
            {
                newest = TryParse(path, out long number) ? Math.Max(newest, number) : newest;
            }
        }

        return newest;
    }

    private static bool TryParse(string path, out long number) =>
        long.TryParse(Path.GetFileName(path.AsSpan())[StatePrefix.Length..], NumberStyles.None, CultureInfo.InvariantCulture, out number);

    private CacheState? TryReadState(long number)
    {
        using SafeFileHandle? file = TryOpen(PathOfState(number));
        long length = file is null ? 0 : RandomAccess.GetLength(file);
        if (length is 0 or > MaxStateSize)
        {
            return null;
        }

        byte[] bytes = new byte[length];
        return NativeFile.Read(file!, bytes, 0) == length ? CacheState.TryOpen(keys, number, bytes) : null;
    }

    private RunFile[]? TryOpenRuns(CacheState state)
    {
        List<RunFile> runs = [];
        foreach (RunShape shape in state.Runs)
        {
            SafeFileHandle? file = TryOpen(PathOfRun(shape.Id));
            if (file is not null && RandomAccess.GetLength(file) == shape.Length && RunFile.TryOpen(keys, file, shape) is { } run)
            {
                runs.Add(run);
                continue;
            }

            file?.Dispose();
            runs.ForEach(open => open.Dispose());
            return null;
        }

        return [.. runs];
    }

    private static SafeFileHandle? TryOpen(string path)
    {
        try
        {
            return NativeFile.Open(path, OpenMode.ReadOnly | OpenMode.NoFollow);
        }
        catch (LinuxErrorException failure) when (failure.Errno == Errno.ENOENT)
        {
            return null;
        }
    }

    private RunFile Write(IEnumerable<IndexRecord> records, int mostRecords, string where, bool named)
    {
        Guid id = BackupSession.NewId();
        string path = Path.Combine(where, (named ? TemporaryPrefix : ".quench-index-") + id.ToString("N"));
        SafeFileHandle file = NativeFile.Open(path, OpenMode.ReadWrite | OpenMode.Create | OpenMode.Exclusive | OpenMode.NoFollow);
        bool done = false;
        try
        {
            if (!named)
            {
                File.Delete(path);
            }
            else
            {
                _ = AdvisoryLock.TryTake(file); // kept until it is closed: nobody sweeps it away
            }

            RunFile run = Fill(id, file, records, mostRecords);
            run.TemporaryPath = named ? path : null;
            done = true;
            return run;
        }
        finally
        {
            if (!done)
            {
                file.Dispose();
                TryDelete(path);
            }
        }
    }

    private RunFile Fill(Guid id, SafeFileHandle file, IEnumerable<IndexRecord> records, int mostRecords)
    {
        using RunWriter writer = new(keys, id, file, mostRecords);
        foreach (IndexRecord record in records)
        {
            writer.Add(record);
        }

        (RunShape shape, ulong[] fences, ChunkFilter filter) = writer.Finish();
        return new RunFile(keys, file, shape, fences, filter);
    }

    /// <summary>Gives the runs their lasting names. A state that names them follows; without one the next sweep takes them.</summary>
    private void Name(IReadOnlyList<RunFile> runs)
    {
        foreach (RunFile run in runs)
        {
            if (run.TemporaryPath is not { } path)
            {
                continue;
            }

            run.Sync();
            if (!NativeFile.TryRenameNoReplace(path, PathOfRun(run.Shape.Id)))
            {
                throw new IOException($"{PathOfRun(run.Shape.Id)} exists already");
            }

            run.TemporaryPath = null;
        }
    }

    private void Put(byte[] state, long number)
    {
        string path = PathOf(TemporaryPrefix + BackupSession.NewId().ToString("N"));
        using SafeFileHandle file = NativeFile.Open(path, OpenMode.ReadWrite | OpenMode.Create | OpenMode.Exclusive | OpenMode.NoFollow);
        bool done = false;
        try
        {
            NativeFile.Write(file, state, 0);
            NativeFile.SyncData(file);
            done = NativeFile.TryRenameNoReplace(path, PathOfState(number));
        }
        finally
        {
            if (!done)
            {
                TryDelete(path);
            }
        }

        if (!done)
        {
            throw new IOException($"{PathOfState(number)} exists already"); // nobody puts one without the lock
        }

        DeleteStates(below: number);
    }

    private void DeleteStates(long below)
    {
        foreach (string path in Directory.GetFiles(folder!, StatePrefix + "*"))
        {
            if (TryParse(path, out long number) && number < below)
            {
                TryDelete(path);
            }
        }
    }

    /// <summary>Deletes runs that no state names, and what killed processes left. A file in use by another process is locked, and stays.</summary>
    private void Sweep(RunShape[] keep)
    {
        HashSet<string> names = [.. keep.Select(run => RunPrefix + run.Id.ToString("N"))];
        foreach (string path in Directory.GetFiles(folder!))
        {
            string name = Path.GetFileName(path);
            if ((name.StartsWith(RunPrefix, StringComparison.Ordinal) && !names.Contains(name))
                || (name.StartsWith(TemporaryPrefix, StringComparison.Ordinal) && IsAbandoned(path)))
            {
                TryDelete(path);
            }
        }
    }

    private static bool IsAbandoned(string path)
    {
        try
        {
            using SafeFileHandle? file = TryOpen(path);
            return file is not null && AdvisoryLock.TryTake(file);
        }
        catch (LinuxErrorException)
        {
            return false;
        }
    }

    /// <summary>From now on this process's runs are its own: they lose their names, and go when it closes them.</summary>
    private void Withdraw(IReadOnlyList<RunFile> runs)
    {
        _publishes = false;
        foreach (RunFile run in runs)
        {
            run.Unname();
        }
    }

    private static void TryDelete(string path)
    {
        try
        {
            File.Delete(path);
        }
        catch (Exception failure) when (IsTrouble(failure))
        {
            // It stays, and the next sweep tries again.
        }
    }
}
