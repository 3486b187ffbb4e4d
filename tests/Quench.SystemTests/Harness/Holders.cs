using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using Quench.Snapshots.Providers.Filter;

namespace Quench.SystemTests.Harness;

/// <summary>The processes behind attached volumes: the holder, and the workers that it has started.</summary>
internal static class Holders
{
    /// <summary>The holder of a volume.</summary>
    internal static int Of(string name)
    {
        using JsonDocument state = JsonDocument.Parse(File.ReadAllText(FilterDirectory.For(name).State));
        return state.RootElement.GetProperty("process_id").GetInt32();
    }

    /// <summary>The workers of a holder: the one that serves and the one that waits.</summary>
    internal static int[] WorkersOf(int holder)
    {
        try
        {
            return [.. File.ReadAllText($"/proc/{holder}/task/{holder}/children").Split(' ', StringSplitOptions.RemoveEmptyEntries)
                .Select(text => int.Parse(text, CultureInfo.InvariantCulture))];
        }
        catch (Exception failure) when (failure is FileNotFoundException or DirectoryNotFoundException)
        {
            return [];
        }
    }

    /// <summary>Kills a process and waits until it is gone (SIGKILL).</summary>
    internal static async Task KillAsync(int process)
    {
        try
        {
            using Process victim = Process.GetProcessById(process);
            victim.Kill();
            await victim.WaitForExitAsync();
        }
        catch (ArgumentException)
        {
            // It had gone already.
        }
    }

    /// <summary>Kills a holder, and then those whom it can't replace any more.</summary>
    internal static async Task KillWithWorkersAsync(int holder)
    {
        int[] workers = WorkersOf(holder);
        await KillAsync(holder);
        foreach (int worker in workers)
        {
            await KillAsync(worker);
        }
    }
}
