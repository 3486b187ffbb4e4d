using System.Diagnostics;
using System.Globalization;
using System.Net.Sockets;
using Quench.SystemTests.Harness;

namespace Quench.SystemTests.Guests;

/// <summary>
/// The guest of scripts/guest/build in QEMU, by software alone: boots from its disk's own boot loader, under BIOS unless it is said otherwise, talks over its second serial port. Disposing
/// switches it off as a power cut does.
/// </summary>
internal sealed class GuestMachine : IAsyncDisposable
{
    private const string UefiCode = "/usr/share/OVMF/OVMF_CODE_4M.fd";
    private const string UefiVariables = "/usr/share/OVMF/OVMF_VARS_4M.fd";

    private static readonly TimeSpan s_boot = TimeSpan.FromMinutes(5); // half a minute on an idle machine

    private readonly ProcessRun _machine;
    private readonly string _console;
    private readonly NetworkStream _port;
    private readonly Task _listening;
    private readonly List<string> _said = []; // guarded by itself
    private readonly TaskCompletionSource<int> _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource<int> _found = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly long _since = Stopwatch.GetTimestamp();
    private volatile int _done;

    private GuestMachine(ProcessRun machine, string console, Socket port)
    {
        _machine = machine;
        _console = console;
        _port = new NetworkStream(port, ownsSocket: true);
        _listening = ListenAsync();
    }

    /// <summary>The last record that it said was durable; 0 before the first.</summary>
    internal int Done => _done;

    /// <summary>What it found on its disk when it began.</summary>
    internal Task<int> Found => _found.Task;

    /// <summary>The exit code of the program that it was given to run.</summary>
    internal Task<int> Ended => _ended.Task;

    /// <summary>What that program has printed so far.</summary>
    internal IReadOnlyList<string> Said
    {
        get
        {
            lock (_said)
            {
                return [.. _said];
            }
        }
    }

    /// <summary>Since it was switched on.</summary>
    internal TimeSpan Age => Stopwatch.GetElapsedTime(_since);

    /// <summary>Switches it on.</summary>
    /// <param name="folder">For its sockets and its console's text; exists.</param>
    /// <param name="name">Of this machine in the folder.</param>
    /// <param name="disk">The disk, as QEMU's -drive option names it.</param>
    /// <param name="mode">"write", "check" or "run".</param>
    /// <param name="moreDisks">Image files that it has too.</param>
    internal static Task<GuestMachine> StartAsync(string folder, string name, string disk, string mode, params IReadOnlyList<string> moreDisks) =>
        StartAsync(folder, name, disk, mode, moreDisks, []);

    /// <summary>Switches one on that writes, and whose agent is at the other end of a socket.</summary>
    /// <param name="folder">For its sockets and its console's text; exists.</param>
    /// <param name="disk">The disk's image file.</param>
    /// <param name="agent">The socket's path.</param>
    internal static Task<GuestMachine> StartWithAgentAsync(string folder, string disk, string agent) => StartAsync(
        folder, "agent", $"file={disk}", "write", [],
        ["-chardev", $"socket,id=agent,path={agent},server=on,wait=off", "-device", "virtio-serial-pci", "-device", "virtserialport,chardev=agent,name=org.qemu.guest_agent.0"]);

    /// <summary>Switches one on whose firmware is UEFI; <see cref="RequireUefi"/> comes first.</summary>
    /// <param name="folder">For its sockets, its console's text and its firmware's variables; exists.</param>
    /// <param name="name">Of this machine in the folder.</param>
    /// <param name="disk">The disk, as QEMU's -drive option names it.</param>
    /// <param name="mode">"write" or "check".</param>
    internal static Task<GuestMachine> StartUnderUefiAsync(string folder, string name, string disk, string mode)
    {
        string variables = Path.Combine(folder, name + ".vars");
        File.Copy(UefiVariables, variables);
        return StartAsync(
            folder, name, disk, mode, [],
            ["-drive", $"if=pflash,unit=0,format=raw,readonly=on,file={UefiCode}", "-drive", $"if=pflash,unit=1,format=raw,file={variables}"]);
    }

    /// <summary>Skips where there is no such firmware.</summary>
    internal static void RequireUefi() => Requires.FileOf("ovmf", UefiCode, UefiVariables);

    private static async Task<GuestMachine> StartAsync(string folder, string name, string disk, string mode, IReadOnlyList<string> moreDisks, string[] moreDevices)
    {
        string path = Path.Combine(folder, name + ".port");
        string console = Path.Combine(folder, name + ".console");
        using Socket listener = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        listener.Bind(new UnixDomainSocketEndPoint(path));
        listener.Listen(1);
        ProcessRun machine = ProcessRun.Start(new ProcessStartInfo("qemu-system-x86_64", [
            "-accel", "tcg", "-cpu", "max", "-smp", "2", "-m", moreDisks.Count == 0 ? "512" : "1536", "-nodefaults", "-display", "none", "-no-reboot", "-nic", "none",
            "-drive", disk + ",format=raw,if=virtio", "-smbios", $"type=1,serial={mode}", "-serial", $"file:{console}", "-serial", $"unix:{path}",
            .. moreDisks.SelectMany(file => (string[])["-drive", $"file={file},format=raw,if=virtio"]), .. moreDevices]));
        try
        {
            using CancellationTokenSource limit = new(TimeSpan.FromSeconds(30));
            return new GuestMachine(machine, console, await listener.AcceptAsync(limit.Token));
        }
        catch
        {
            machine.Dispose();
            throw;
        }
    }

    /// <summary>Waits for the login prompt.</summary>
    internal Task WaitForLoginAsync() => Wait.UntilAsync(() => HasExitedOr(() => ReadConsole().Contains("guest login:", StringComparison.Ordinal)), s_boot, "the login prompt");

    /// <summary>Waits until a record is durable.</summary>
    internal Task WaitForAsync(int record) => Wait.UntilAsync(() => HasExitedOr(() => _done >= record), s_boot, $"record {record}");

    /// <summary>Waits until the program that it runs has printed a line.</summary>
    internal Task WaitToSayAsync(string line) => Wait.UntilAsync(
        () => HasExitedOr(() => Said.Contains(line) || (Ended.IsCompleted ? throw new InvalidOperationException(string.Join('\n', Said)) : false)), s_boot, line);

    /// <summary>Has a machine that checks switch itself off, and waits for its end.</summary>
    internal async Task SwitchOffAsync()
    {
        await _port.WriteAsync("off\n"u8.ToArray());
        ProcessResult end = await _machine.EndAsync(s_boot);
        if (end.ExitCode != 0)
        {
            throw new InvalidOperationException(end.ToString());
        }
    }

    /// <summary>What its console has shown so far, read through a handle that lets the machine go on writing.</summary>
    internal string ReadConsole()
    {
        using FileStream file = new(_console, FileMode.OpenOrCreate, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
        using StreamReader reader = new(file);
        return reader.ReadToEnd();
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        _machine.Dispose();
        await _listening;
        await _port.DisposeAsync();
    }

    private bool HasExitedOr(Func<bool> isSo) =>
        !_machine.HasExited ? isSo() : throw new InvalidOperationException($"the machine has ended by itself; its console: {ReadConsole()}");

    private async Task ListenAsync()
    {
        using StreamReader reader = new(_port, leaveOpen: true);
        try
        {
            while (await reader.ReadLineAsync() is { } line)
            {
                Hear(line.TrimEnd('\r'));
            }
        }
        catch (IOException)
        {
            // The machine has ended, and its port with it.
        }

        _found.TrySetException(new InvalidOperationException("the machine ended before it said what it found"));
        _ended.TrySetException(new InvalidOperationException("the machine ended before its program did"));
    }

    private void Hear(string line)
    {
        string[] words = line.Split(' ', 2);
        if (words[0] == "WRONG")
        {
            _found.TrySetException(new InvalidDataException(line));
        }
        else if (words[0] == "SAY")
        {
            lock (_said)
            {
                _said.Add(words[^1]);
            }
        }
        else if (words.Length == 2 && int.TryParse(words[1], CultureInfo.InvariantCulture, out int record))
        {
            if (words[0] == "FOUND")
            {
                _found.TrySetResult(record);
            }
            else if (words[0] == "END")
            {
                _ended.TrySetResult(record);
            }
            else
            {
                _done = record;
            }
        }
    }
}
