using Quench.Writers;

// A writer for an application whose data are the files of one folder, and which writes only while it has the file "lock" there to itself.
// As a program, copied to /etc/quench/writers; as a service: LockWriter --socket /run/quench/writers/lock.sock
return await WriterHost.RunAsync(new LockWriter(Environment.GetEnvironmentVariable("LOCK_FOLDER") ?? "/srv/counter"), args);

internal sealed class LockWriter(string folder) : BackupWriter
{
    private FileStream? _lock;

    public override Task<WriterDescription> IdentifyAsync(CancellationToken cancellationToken) => Task.FromResult(new WriterDescription
    {
        Id = Guid.Parse("5f0b2b3e-8d0c-4f43-9a53-0d7f0c1d2ab7"),
        Name = "Lock",
        Instance = folder,
        Method = "it takes the lock that the application writes under; a restored copy needs nothing",
        CannotHold = Directory.Exists(folder) ? null : $"{folder} is not there",
        Components = [new WriterComponent { Name = "files", Kind = ComponentKind.FileGroup, Files = [new WriterFiles(folder)], Excluded = [new WriterFiles(folder, "lock", IsRecursive: false)] }],
    });

    public override async Task HoldAsync(CancellationToken cancellationToken)
    {
        while (_lock is null)
        {
            try
            {
                _lock = new FileStream(Path.Combine(folder, "lock"), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None); // flock(2)
            }
            catch (IOException)
            {
                await Task.Delay(10, cancellationToken); // the application has it
            }
        }
    }

    public override async Task<bool> ReleaseAsync()
    {
        bool wasHeld = _lock is not null;
        await (_lock?.DisposeAsync() ?? ValueTask.CompletedTask);
        _lock = null;
        return wasHeld;
    }
}
