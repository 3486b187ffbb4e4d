using Quench.Interop.Linux;

namespace Quench.Snapshots.Coordination;

/// <summary>Whose data is to be held: everything on these file systems.</summary>
public sealed class WriterSearch
{
    private readonly HashSet<DeviceNumber> _devices = [];

    /// <summary>Looks the mount points up.</summary>
    /// <param name="mountPoints">Where the volumes are mounted; absolute.</param>
    /// <param name="settings">What is set for the writers.</param>
    /// <param name="clock">Real time, or a test's.</param>
    public WriterSearch(IReadOnlyList<string> mountPoints, WriterSettings settings, TimeProvider clock)
    {
        MountPoints = mountPoints;
        Settings = settings;
        Clock = clock;
        foreach (string mountPoint in mountPoints)
        {
            if (NativeFile.TryGetStatus(mountPoint) is { } status)
            {
                _devices.Add(status.Device);
            }
        }
    }

    /// <summary>Where the volumes are mounted.</summary>
    public IReadOnlyList<string> MountPoints { get; }

    /// <summary>What is set for the writers.</summary>
    public WriterSettings Settings { get; }

    /// <summary>The clock that writers take their times from.</summary>
    public TimeProvider Clock { get; }

    /// <summary>Whether a file or folder lies on one of the volumes, links followed. False for what is not there.</summary>
    public bool Holds(string path) => NativeFile.TryGetStatus(path) is { } status && _devices.Contains(status.Device);
}
