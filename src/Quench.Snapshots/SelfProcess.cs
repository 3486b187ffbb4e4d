using System.Diagnostics;

namespace Quench.Snapshots;

/// <summary>How this program starts itself again for a job that needs a process of its own.</summary>
internal static class SelfProcess
{
    /// <summary>The program and the words that start it, before any of its own arguments.</summary>
    /// <remarks>
    /// QUENCH_SELF names the program when the caller is another one (a test, a service that hosts us); otherwise it is this process's own image,
    /// or the host and the assembly when it was started as "dotnet quench.dll".
    /// </remarks>
    internal static IReadOnlyList<string> Command()
    {
        string? other = Environment.GetEnvironmentVariable("QUENCH_SELF");
        if (!string.IsNullOrEmpty(other))
        {
            return other.EndsWith(".dll", StringComparison.Ordinal) ? ["dotnet", other] : [other];
        }

        string image = Environment.ProcessPath ?? throw new InvalidOperationException("this process does not know its own program");
        return Path.GetFileNameWithoutExtension(image) == "dotnet" ? [image, Environment.GetCommandLineArgs()[0]] : [image];
    }

    /// <summary>
    /// Takes the runtime's debugging pipes away from a process: it leaves them in the temporary folder when it is killed, and has no use for them.
    /// </summary>
    internal static void WithoutDiagnostics(ProcessStartInfo start) => start.Environment["DOTNET_EnableDiagnostics"] = "0";

    /// <summary>Starts this program with other arguments, each passed as it is, through no shell.</summary>
    internal static ProcessStartInfo StartInfo(params string[] arguments)
    {
        IReadOnlyList<string> command = Command();
        ProcessStartInfo start = new(command[0]) { UseShellExecute = false };
        foreach (string word in command.Skip(1).Concat(arguments))
        {
            start.ArgumentList.Add(word);
        }

        WithoutDiagnostics(start);
        return start;
    }

    /// <summary>
    /// Starts this program with other arguments in a session of its own: it outlives us, and no terminal's Ctrl-C reaches it. Its standard output is ours to read until it
    /// has told us that it stands; what it says on standard error goes to the end of a file.
    /// </summary>
    internal static ProcessStartInfo Detached(string log, IEnumerable<string> arguments)
    {
        ProcessStartInfo start = new("/bin/sh") { UseShellExecute = false, RedirectStandardOutput = true, RedirectStandardInput = true, WorkingDirectory = "/" };
        foreach (string word in (string[])["-c", "exec setsid \"$@\" 2>>\"$0\" </dev/null", log, .. Command(), .. arguments])
        {
            start.ArgumentList.Add(word);
        }

        WithoutDiagnostics(start);
        return start;
    }
}
