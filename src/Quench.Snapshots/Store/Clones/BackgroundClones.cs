using System.Diagnostics;
using System.Security.Cryptography;
using System.Text.Json;
using Microsoft.Win32.SafeHandles;
using Quench.Blocks;
using Quench.Interop.Linux;

namespace Quench.Snapshots.Store.Clones;

/// <summary>Full copies of snapshots that go on after the command that asked for them has ended.</summary>
public static class BackgroundClones
{
    /// <summary>What the copying process writes when it has begun.</summary>
    internal const string Begun = "copying";

    private static readonly TimeSpan s_kept = TimeSpan.FromDays(1); // how long an ended one is told of

    /// <summary>Starts this program again, in a session of its own, and waits until it copies.</summary>
    /// <param name="words">The command's arguments, given the clone's name. The process must make a <see cref="CloneReporter"/> of that name.</param>
    /// <param name="clock">The time, to sweep away what ended long ago.</param>
    /// <param name="cancellationToken">Gives up waiting, and ends the process.</param>
    /// <returns>The clone's name; and why it did not begin, with the process's exit code, when it did not.</returns>
    public static async Task<(string Id, string? Refusal, int ExitCode)> StartAsync(Func<string, string[]> words, TimeProvider clock, CancellationToken cancellationToken)
    {
        Sweep(clock);
        string id = Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(3));
        CloneFolder folder = CloneFolder.Of(id);
        Directory.CreateDirectory(folder.Path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        ProcessControl.TryKeepDescriptorsToOurselves(); // it outlives us
        using Process copying = Process.Start(SelfProcess.Detached(folder.Log, words(id)))!;
        try
        {
            if (await copying.StandardOutput.ReadLineAsync(cancellationToken) == Begun)
            {
                return (id, null, 0);
            }
        }
        catch (OperationCanceledException)
        {
            ProcessControl.TryTerminate(copying.Id);
            throw;
        }

        await copying.WaitForExitAsync(cancellationToken);
        string refusal = await File.ReadAllTextAsync(folder.Log, cancellationToken);
        Directory.Delete(folder.Path, recursive: true);
        return (id, refusal.TrimEnd(), copying.ExitCode);
    }

    /// <summary>Those that go on and those that ended within a day, the oldest first.</summary>
    public static IReadOnlyList<BackgroundClone> List() =>
        [.. CloneFolder.All().Select(TryRead).OfType<BackgroundClone>().OrderBy(clone => clone.Job.Began)];

    /// <summary>Asks a clone that goes on to end. A new target file is taken away by it; a device stays half written.</summary>
    /// <exception cref="QuenchException">SNAP-191: there is none of that name that goes on.</exception>
    public static void Cancel(string id)
    {
        BackgroundClone? clone = List().FirstOrDefault(listed => listed.Id == id);
        if (clone is not { State: CloneState.Copying } || !ProcessControl.TryTerminate(clone.Job.Process))
        {
            throw new QuenchException("SNAP-191", $"no background clone {id} is being copied", "`quench snapshot clones` lists those there are") { Effect = "nothing was touched" };
        }
    }

    private static BackgroundClone? TryRead(CloneFolder folder)
    {
        try
        {
            if (!File.Exists(folder.Job))
            {
                return null; // not begun; and its lock must not be touched before it is taken
            }

            bool lives = IsHeld(folder); // asked before the outcome is read: who ends has written it before
            CloneJob job = JsonSerializer.Deserialize(File.ReadAllBytes(folder.Job), CloneJson.Default.CloneJob)!;
            CloneOutcome? outcome = File.Exists(folder.Outcome) ? JsonSerializer.Deserialize(File.ReadAllBytes(folder.Outcome), CloneJson.Default.CloneOutcome) : null;
            (long done, long total) = CloneReporter.ReadProgress(folder);
            CloneState state = outcome switch
            {
                { Failure: null } => CloneState.Done,
                { } => CloneState.Failed,
                null => lives ? CloneState.Copying : CloneState.Dead,
            };
            return new BackgroundClone(folder.Id, job, state, done, total, outcome);
        }
        catch (IOException) when (!Directory.Exists(folder.Path))
        {
            return null; // swept away by another command meanwhile
        }
    }

    private static bool IsHeld(CloneFolder folder)
    {
        if (!File.Exists(folder.Lock))
        {
            return false;
        }

        using SafeFileHandle held = NativeFile.Open(folder.Lock, OpenMode.ReadWrite);
        return !AdvisoryLock.TryTake(held);
    }

    private static void Sweep(TimeProvider clock)
    {
        foreach (CloneFolder folder in CloneFolder.All())
        {
            if (clock.GetUtcNow() - Directory.GetLastWriteTimeUtc(folder.Path) > s_kept && !IsHeld(folder))
            {
                Directory.Delete(folder.Path, recursive: true);
            }
        }
    }
}
