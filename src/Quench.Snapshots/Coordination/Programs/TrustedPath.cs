using Quench.Blocks;
using Quench.Interop.Linux;

namespace Quench.Snapshots.Coordination.Programs;

/// <summary>
/// Which files may be started, or believed, by a program that runs as root: those that nobody but root, or the user it runs as, could have put there. The file and every folder above it
/// belong to one of the two and can't be written by others; a folder like /tmp, where everybody may add but nobody may take away, is allowed above.
/// </summary>
public static class TrustedPath
{
    private const int OthersMayWrite = 0x12; // group and others: 0022
    private const int Sticky = 0x200;        // 01000
    private const int AnybodyMayRun = 0x49;  // 0111
    private const int MostLinks = 40;

    /// <summary>The program's real path, every link resolved, ready to be started.</summary>
    /// <exception cref="QuenchException">SNAP-127, exit code 2: it is not there, not a program, or somebody else could change it.</exception>
    public static string DemandProgram(string path)
    {
        string real = Demand(path);
        FileStatus status = NativeFile.TryGetStatus(real)!.Value;
        return status.Kind != FileKind.Regular ? throw Refuse(path, "it is not a file")
            : (status.Permissions & AnybodyMayRun) == 0 ? throw Refuse(path, "it is not executable (chmod +x)")
            : real;
    }

    /// <summary>The real path of something that nobody else could have put there.</summary>
    /// <exception cref="QuenchException">SNAP-127, exit code 2.</exception>
    public static string Demand(string path)
    {
        if (!Path.IsPathRooted(path))
        {
            throw Refuse(path, "it is not an absolute path");
        }

        string real = "/";
        Queue<string> rest = new(Parts(path));
        int links = 0;
        while (rest.TryDequeue(out string? part))
        {
            string next = Path.GetFullPath(Path.Combine(real, part));
            if (LinkTarget(next) is { } target)
            {
                if (++links > MostLinks)
                {
                    throw Refuse(path, "its links lead in a circle");
                }

                DemandOurs(next, path, isLink: true);
                rest = new Queue<string>([.. Parts(target), .. rest]);
                real = Path.IsPathRooted(target) ? "/" : real;
                continue;
            }

            DemandOurs(next, path, isLink: false);
            real = next;
        }

        return real;
    }

    private static string[] Parts(string path) => path.Split('/', StringSplitOptions.RemoveEmptyEntries);

    private static string? LinkTarget(string path) => new FileInfo(path).LinkTarget;

    private static void DemandOurs(string path, string asked, bool isLink)
    {
        if (NativeFile.TryGetStatus(path, followLinks: false) is not { } status)
        {
            throw Refuse(asked, path == asked ? "it is not there" : $"{path} is not there");
        }

        bool sticky = status.Kind == FileKind.Directory && (status.Permissions & Sticky) != 0;
        if (status.Owner != 0 && status.Owner != ProcessControl.User)
        {
            throw Refuse(asked, $"{path} belongs to user {status.Owner}, and not to root");
        }

        if (!isLink && !sticky && (status.Permissions & OthersMayWrite) != 0)
        {
            throw Refuse(asked, $"{path} can be written by others than its owner (chmod go-w)");
        }
    }

    private static QuenchException Refuse(string path, string why) =>
        new("SNAP-127", $"{path} is not used: {why}", "name a program by its absolute path, owned by root like every folder above it, and written by nobody else")
        {
            Effect = "nothing was started",
            ExitCode = 2,
        };
}
