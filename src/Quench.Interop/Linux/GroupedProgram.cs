using System.IO.Pipes;
using System.Runtime.InteropServices;
using System.Text;

namespace Quench.Interop.Linux;

/// <summary>
/// A program in a process group of its own, with pipes as its standard streams: its words go to it as they are, through no shell; its environment is what is given and nothing else; it
/// stands in the root directory; its signals are as the system's defaults. (posix_spawn(3))
/// </summary>
/// <remarks>
/// Whoever started it reaps it with <see cref="TryReap"/>. Until then neither the process's nor the group's number can be used again, so <see cref="Signal"/> meets nobody else.
/// </remarks>
public sealed unsafe class GroupedProgram : IDisposable
{
    private const int SIGTERM = 15;
    private const int SIGKILL = 9;
    private const int WNOHANG = 1;
    private const short POSIX_SPAWN_SETPGROUP = 2;
    private const short POSIX_SPAWN_SETSIGDEF = 4;
    private const short POSIX_SPAWN_SETSIGMASK = 8;
    private const int ActionsSize = 256;    // posix_spawn_file_actions_t, with room to spare
    private const int AttributesSize = 512; // posix_spawnattr_t, likewise
    private const int SignalSetSize = 128;  // sigset_t

    private readonly Lock _gate = new();    // guards the two below
    private ChildEnd? _end;
    private bool _isReaped;

    private readonly AnonymousPipeServerStream _input = new(PipeDirection.Out, HandleInheritability.None);
    private readonly AnonymousPipeServerStream _output = new(PipeDirection.In, HandleInheritability.None);
    private readonly AnonymousPipeServerStream _error = new(PipeDirection.In, HandleInheritability.None);

    private GroupedProgram()
    {
    }

    /// <summary>Its process id, which is its group's number too.</summary>
    public int Group { get; private set; }

    /// <summary>What is written here it reads from its standard input. Closed by <see cref="CloseInput"/>.</summary>
    public Stream Input => _input;

    /// <summary>The descriptor of its standard output, for reading; owned by this object.</summary>
    public SafeHandle Output => _output.SafePipeHandle;

    /// <summary>The descriptor of its standard error, likewise.</summary>
    public SafeHandle Error => _error.SafePipeHandle;

    /// <summary>Starts it.</summary>
    /// <param name="path">The program's absolute path.</param>
    /// <param name="arguments">Its arguments.</param>
    /// <param name="environment">All of its environment.</param>
    /// <exception cref="LinuxErrorException">It can't be started.</exception>
    public static GroupedProgram Start(string path, IReadOnlyList<string> arguments, IReadOnlyDictionary<string, string> environment)
    {
        GroupedProgram program = new();
        try
        {
            program.Spawn(path, [path, .. arguments], [.. environment.Select(variable => $"{variable.Key}={variable.Value}")]);
            return program;
        }
        catch
        {
            program.Dispose();
            throw;
        }
    }

    /// <summary>How it ended, when it has; null while it runs. Its group may live on.</summary>
    public ChildEnd? TryReap()
    {
        lock (_gate)
        {
            if (_isReaped)
            {
                return _end;
            }

            int status;
            int result = LibC.waitpid(Group, &status, WNOHANG);
            if (result == 0)
            {
                return null;
            }

            _isReaped = true;
            _end = result > 0 ? new ChildEnd(status & 0x7F, (status >> 8) & 0xFF) : new ChildEnd(SIGKILL, 0); // somebody else took its end: nobody knows it
            return _end;
        }
    }

    /// <summary>Asks everybody in the group to end, or ends them.</summary>
    /// <param name="kill">SIGKILL; otherwise SIGTERM.</param>
    /// <returns>False when there is nobody left.</returns>
    public bool Signal(bool kill) => LibC.kill(-Group, kill ? SIGKILL : SIGTERM) == 0;

    /// <summary>Whether there is anybody left in the group, one that has ended and is not reaped included.</summary>
    public bool IsAnybodyThere() => LibC.kill(-Group, 0) == 0;

    /// <summary>Closes its standard input.</summary>
    public void CloseInput() => _input.Dispose();

    /// <summary>Closes the pipes. Ends nobody.</summary>
    public void Dispose()
    {
        _input.Dispose();
        _output.Dispose();
        _error.Dispose();
    }

    private void Spawn(string path, string[] words, string[] variables)
    {
        byte** arguments = null;
        byte** environment = null;
        byte* actions = stackalloc byte[ActionsSize];
        byte* attributes = stackalloc byte[AttributesSize];
        Check(LibC.posix_spawn_file_actions_init(actions), path);
        Check(LibC.posix_spawnattr_init(attributes), path);
        try
        {
            arguments = NativeStrings.Make(words);
            environment = NativeStrings.Make(variables);
            Check(LibC.posix_spawn_file_actions_adddup2(actions, NumberOf(_input), 0), path);
            Check(LibC.posix_spawn_file_actions_adddup2(actions, NumberOf(_output), 1), path);
            Check(LibC.posix_spawn_file_actions_adddup2(actions, NumberOf(_error), 2), path);
            Check(LibC.posix_spawn_file_actions_addchdir_np(actions, "/"), path);
            SetAttributes(attributes, path);
            byte[] program = Encoding.UTF8.GetBytes(path + '\0');
            int process;
            fixed (byte* file = program)
            {
                Check(LibC.posix_spawnp(&process, file, actions, attributes, arguments, environment), path);
            }

            Group = process;
        }
        finally
        {
            NativeStrings.Free(arguments);
            NativeStrings.Free(environment);
            _ = LibC.posix_spawnattr_destroy(attributes);
            _ = LibC.posix_spawn_file_actions_destroy(actions);
            _input.DisposeLocalCopyOfClientHandle();
            _output.DisposeLocalCopyOfClientHandle();
            _error.DisposeLocalCopyOfClientHandle();
        }
    }

    private static void SetAttributes(byte* attributes, string path)
    {
        byte* all = stackalloc byte[SignalSetSize];
        byte* none = stackalloc byte[SignalSetSize];
        new Span<byte>(all, SignalSetSize).Fill(0xFF);
        new Span<byte>(none, SignalSetSize).Clear();
        Check(LibC.posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK), path);
        Check(LibC.posix_spawnattr_setpgroup(attributes, 0), path);
        Check(LibC.posix_spawnattr_setsigdefault(attributes, all), path);
        Check(LibC.posix_spawnattr_setsigmask(attributes, none), path);
    }

    private static int NumberOf(AnonymousPipeServerStream pipe) => (int)pipe.ClientSafePipeHandle.DangerousGetHandle();

    private static void Check(int error, string path)
    {
        if (error != 0)
        {
            throw new LinuxErrorException((Errno)error, "start", path);
        }
    }
}
