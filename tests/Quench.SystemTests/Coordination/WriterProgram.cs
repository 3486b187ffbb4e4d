using Quench.SystemTests.Harness;

namespace Quench.SystemTests.Coordination;

/// <summary>
/// A writer program in a folder of its own, and the data that it speaks for: a file lock stands for the application's writes. What it does at each event can be changed, and it
/// leaves a mark outside the volume when it holds.
/// </summary>
internal sealed class WriterProgram
{
    private readonly TempFolder _folder;
    private readonly string _data;

    /// <summary>Installs it.</summary>
    /// <param name="folder">Where the program lies; not on the volume.</param>
    /// <param name="data">The application's folder, on the volume.</param>
    /// <param name="twist">Python that is run at each event, before it is handled: may look at `event`, sleep or raise Failed.</param>
    /// <param name="lingerSeconds">How long it waits before it answers a freeze; it holds by then.</param>
    /// <param name="alsoIn">Another folder of the application, which may lie on another volume.</param>
    internal WriterProgram(TempFolder folder, string data, string twist = "pass", string lingerSeconds = "0", string? alsoIn = null)
    {
        (_folder, _data) = (folder, data);
        Directory.CreateDirectory(data);
        File.WriteAllText(Path.Combine(data, "lock"), "");
        Folder = folder.MakeFolder("writers");
        string path = Path.Combine(Folder, "test-writer");
        string folders = string.Join(", ", new[] { data, alsoIn }.OfType<string>().Select(place => $"{{\"folder\": \"{place}\"}}"));
        File.WriteAllText(path, Text.Replace("FILES", folders, StringComparison.Ordinal).Replace("TWIST", twist, StringComparison.Ordinal).Replace("DATA", data, StringComparison.Ordinal).Replace("MARK", Mark, StringComparison.Ordinal).Replace("LINGER", lingerSeconds, StringComparison.Ordinal));
        File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserExecute);
    }

    /// <summary>The folder for --writer-folder.</summary>
    internal string Folder { get; }

    /// <summary>Holds the writer's process id while it holds the application.</summary>
    internal string Mark => _folder["mark"];

    /// <summary>Whether the application could write now.</summary>
    internal async Task<bool> IsFreeAsync() => (await Tool.TryRunAsync("flock", "--nonblock", Path.Combine(_data, "lock"), "true")).ExitCode == 0;

    /// <summary>Waits until the application can write.</summary>
    internal Task WaitUntilFreeAsync() => Tool.RunAsync("flock", Path.Combine(_data, "lock"), "true");

    private const string Text = """
        #!/usr/bin/python3
        import fcntl, json, os, sys, time
        class Failed(Exception): pass
        lock = None
        for line in sys.stdin:
            call = json.loads(line); event = call["event"]; answer = {"call": call["call"], "ok": True}
            try:
                TWIST
                if event == "identify":
                    answer["writer"] = {"id": "0d8a7a39-1a0c-4a57-9d0b-2a8f3f1f6c01", "name": "Test", "version": "7", "method": "a lock on a file",
                        "components": [{"name": "files", "kind": "file-group", "files": [FILES]}]}
                elif event == "prepare-snapshot":
                    lock = os.open("DATA/lock", os.O_RDONLY)
                elif event == "freeze":
                    fcntl.flock(lock, fcntl.LOCK_EX)
                    mark = os.open("MARK.new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC); os.write(mark, str(os.getpid()).encode()); os.close(mark)
                    os.rename("MARK.new", "MARK")
                    time.sleep(LINGER)
                elif event == "thaw":
                    os.close(lock); lock = None
                    answer["held"] = True
                elif event == "post-snapshot":
                    answer["documents"] = [{"name": "note", "path": "DATA/note", "text": "from the writer"}]
                elif event == "abort" and lock is not None:
                    os.close(lock); lock = None
            except Failed as failure:
                answer = {"call": call["call"], "ok": False, "error": "non-retryable", "message": str(failure)}
            print(json.dumps(answer), flush=True)
        """;
}
