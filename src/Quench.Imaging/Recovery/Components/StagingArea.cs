using System.Globalization;
using Quench.Blocks;
using Quench.Imaging.Recovery.Files;
using Quench.Snapshots.Coordination;
using Quench.Snapshots.Coordination.Restoring;

namespace Quench.Imaging.Recovery.Components;

/// <summary>
/// Where files arrive, beside their places, and from where they take them: all of them or none. What is left of it when this process dies is put right by the next one (<see cref="PutRightAsync"/>).
/// </summary>
/// <param name="plan">What is restored.</param>
internal sealed class StagingArea(ComponentRestorePlan plan)
{
    private const string Prefix = ".quench-restore-";
    private const string New = "new";
    private const string Journal = "journal";
    private const UnixFileMode Private = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;

    private readonly List<Staged> _staged = [];
    private readonly List<string> _made = []; // folders above a place that were not there

    /// <summary>A folder that has arrived.</summary>
    private sealed record Staged(RestoreFolder Folder, string Work, string Kept)
    {
        public string Fresh => Path.Combine(Work, New);

        public SwapPlan? Swap { get; set; }

        public byte[] OldFacts { get; set; } = []; // of folders that stay, as an archive
    }

    /// <summary>Puts right what runs that were killed have left beside these places: a swap that was not finished is taken back, what had arrived is removed.</summary>
    /// <returns>What was taken back, in words.</returns>
    /// <exception cref="QuenchException">RST-140: it can't be taken back.</exception>
    public async Task<IReadOnlyList<string>> PutRightAsync()
    {
        List<string> said = [];
        string[] left = [.. plan.Folders.Select(folder => folder.Target.Beside).Distinct().SelectMany(beside => Directory.EnumerateDirectories(beside, Prefix + "*")).Where(IsLeft)];
        foreach (string work in left)
        {
            string journal = Path.Combine(work, Journal);
            if (File.Exists(journal) && FolderSwap.TakeBack(journal, out IReadOnlyList<SwapStep> stuck))
            {
                said.Add(stuck.Count == 0 ? $"a restore that was ended in the middle was taken back: {work}" : throw ComponentErrors.LeftBehind(stuck));
            }
        }

        foreach (string work in left)
        {
            await RemoveAsync(work);
        }

        return said;
    }

    /// <summary>Brings everything beside its place, and then into it.</summary>
    /// <param name="lastLook">Asked when all has arrived: throws when it must not be.</param>
    /// <param name="cancellationToken">Gives up, until the first rename.</param>
    /// <returns>Where what was there is kept, by the folder that it was in.</returns>
    public async Task<IReadOnlyList<(string Folder, string Kept)>> RunAsync(Action lastLook, CancellationToken cancellationToken)
    {
        try
        {
            foreach (RestoreFolder folder in plan.Folders)
            {
                await StageAsync(folder, cancellationToken);
            }

            foreach (Staged staged in _staged)
            {
                TargetFolder.Sync(staged.Work);
                staged.Swap = await ThinkAsync(staged, cancellationToken);
                staged.OldFacts = staged.Swap.Folders.Count == 0 ? [] : await TarCopy.PackAsync(staged.Folder.Target.Path, staged.Swap.Folders, cancellationToken);
            }

            lastLook();
            cancellationToken.ThrowIfCancellationRequested();
            await SwapAsync();
            return await KeepAsync();
        }
        catch (SwapException failure)
        {
            throw ComponentErrors.NotSwapped(failure);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            throw ComponentErrors.NotCopied(plan.IsInPlace ? "a folder beside their place" : plan.Target, failure);
        }
        finally
        {
            await CleanUpAsync();
        }
    }

    private async Task StageAsync(RestoreFolder folder, CancellationToken cancellationToken)
    {
        string beside = folder.Target.Beside;
        string process = Environment.ProcessId.ToString(CultureInfo.InvariantCulture);
        Staged staged = new(
            folder,
            FreeName(beside, $"{Prefix}{plan.Point.ShortId}-{process}-"),
            FreeName(beside, $"{FolderSwap.KeptPrefix}{plan.Point.ShortId}-", [.. _staged.Select(one => one.Kept)]));
        _staged.Add(staged);
        Directory.CreateDirectory(staged.Work, Private);
        Directory.CreateDirectory(staged.Fresh, Private);
        await TarCopy.RunAsync(folder.Source, [.. folder.Files.Select(file => file.Path)], staged.Fresh, cancellationToken);
        await CompareAsync(folder, staged.Fresh, cancellationToken);
        foreach (WriterDocument document in folder.Documents)
        {
            await WriteAsync(document, Path.Combine(staged.Fresh, FileChoice.Below(folder.Folder, document.Path!)!), cancellationToken);
        }
    }

    /// <summary>That tar(1) ended well is its word; this is ours.</summary>
    private static async Task CompareAsync(RestoreFolder folder, string fresh, CancellationToken cancellationToken)
    {
        Dictionary<string, TreeFile> arrived = (await FileTree.ListAsync(fresh, isQuiet: true, cancellationToken)).ToDictionary(file => file.Path);
        foreach (TreeFile file in folder.Files)
        {
            if (!arrived.TryGetValue(file.Path, out TreeFile copy) || copy.Kind != file.Kind || (file.Kind == 'f' && copy.Length != file.Length))
            {
                throw new IOException($"{folder.Folder}/{FileChoice.TextOf(file.Path)} did not arrive as it is in the image");
            }
        }
    }

    /// <summary>What a writer handed over belongs to whom its folder belongs to.</summary>
    private static async Task WriteAsync(WriterDocument document, string path, CancellationToken cancellationToken)
    {
        string folder = Path.GetDirectoryName(path)!;
        Directory.CreateDirectory(folder);
        await File.WriteAllTextAsync(path, document.Text, cancellationToken);
        File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        await using ToolRun chown = ToolRun.Start("chown", [$"--reference={folder}", "--", path]);
        await chown.Input.DisposeAsync();
        await chown.EndAsync("chown", cancellationToken);
    }

    private static async Task<SwapPlan> ThinkAsync(Staged staged, CancellationToken cancellationToken)
    {
        RestoreFolder folder = staged.Folder;
        TargetFolder target = TargetFolder.Look(folder.Target.Path); // as it is now
        if (target.IsThere != folder.Target.IsThere)
        {
            throw new IOException($"{target.Path} is {(target.IsThere ? "there" : "gone")}, and was not when it was looked at");
        }

        IReadOnlyList<TreeEntry> there = target.IsThere ? await ComponentPlanner.LiveAsync(target, folder.Choice, cancellationToken) : [];
        if (folder.ReplacedCount == 0 && there.Any(entry => entry is { IsChosen: true, IsFolder: false }))
        {
            throw new IOException($"files are in {target.Path}, and were not when it was looked at");
        }

        IReadOnlyList<TreeFile> arrived = await FileTree.ListAsync(staged.Fresh, isQuiet: true, cancellationToken);
        return SwapPlan.Make(
            target.Path, target.IsThere, target.MayBeRenamed, there, staged.Fresh,
            arrived.Where(file => file.Path.Length > 0).Select(file => new TreeEntry(file.Path, file.IsFolder, IsChosen: true)), staged.Kept, folder.Choice.TakesRoot);
    }

    private async Task SwapAsync()
    {
        FolderSwap swap = new([.. _staged.SelectMany(staged => staged.Swap!.Steps)], [.. _staged.Select(staged => Path.Combine(staged.Work, Journal))]);
        foreach (Staged staged in _staged)
        {
            MakeAbove(staged.Folder.Target.Path);
        }

        // From here on nobody asks whether to go on: all of it or nothing.
        swap.Run();
        try
        {
            foreach (Staged staged in _staged.Where(one => one.Swap!.Folders.Count > 0))
            {
                await TarCopy.RunAsync(staged.Fresh, staged.Swap!.Folders, staged.Folder.Target.Path, CancellationToken.None);
            }
        }
        catch (Exception failure) when (failure is IOException or QuenchException)
        {
            IReadOnlyList<SwapStep> left = swap.Undo();
            foreach (Staged staged in _staged.Where(one => one.OldFacts.Length > 0))
            {
                await TarCopy.UnpackAsync(staged.OldFacts, staged.Folder.Target.Path, CancellationToken.None);
            }

            throw new SwapException(failure.Message, left, failure);
        }

        _made.Clear(); // they stay
        swap.Settle();
    }

    /// <summary>What was there stays, unless it was nothing, or is not wanted.</summary>
    private async Task<List<(string Folder, string Kept)>> KeepAsync()
    {
        List<(string, string)> kept = [];
        foreach (Staged staged in _staged.Where(staged => TargetFolder.HasEntry(staged.Kept)))
        {
            if (plan.DiscardsReplaced || !Directory.EnumerateFileSystemEntries(staged.Kept).Any())
            {
                await RemoveAsync(staged.Kept);
            }
            else
            {
                kept.Add((staged.Folder.Target.Path, staged.Kept));
            }
        }

        return kept;
    }

    private void MakeAbove(string path)
    {
        string above = Path.GetDirectoryName(path) ?? "/";
        if (!Directory.Exists(above))
        {
            MakeAbove(above);
            Directory.CreateDirectory(above);
            _made.Add(above);
        }
    }

    private async Task CleanUpAsync()
    {
        foreach (Staged staged in _staged.Where(staged => Directory.Exists(staged.Work) && !File.Exists(Path.Combine(staged.Work, Journal))))
        {
            await RemoveAsync(staged.Work);
        }

        foreach (string made in Enumerable.Reverse(_made).Where(made => !Directory.EnumerateFileSystemEntries(made).Any()))
        {
            Directory.Delete(made);
        }
    }

    /// <summary>Removes a folder of ours with all that is in it, whatever its names are made of. One that stays harms nobody.</summary>
    private static async Task RemoveAsync(string folder)
    {
        try
        {
            await using ToolRun remove = ToolRun.Start("rm", ["-rf", "--one-file-system", "--", folder]);
            await remove.Input.DisposeAsync();
            await remove.EndAsync("rm", CancellationToken.None);
        }
        catch (Exception failure) when (failure is IOException or QuenchException)
        {
            // the next run tries again
        }
    }

    private static bool IsLeft(string work) =>
        Path.GetFileName(work)[Prefix.Length..].Split('-') is [_, var process, _] && int.TryParse(process, CultureInfo.InvariantCulture, out int id) && !Directory.Exists($"/proc/{id}");

    private static string FreeName(string folder, string prefix, params string[] taken)
    {
        for (int number = 1; ; number++)
        {
            string name = Path.Combine(folder, string.Create(CultureInfo.InvariantCulture, $"{prefix}{number}"));
            if (!TargetFolder.HasEntry(name) && !taken.Contains(name))
            {
                return name;
            }
        }
    }
}
