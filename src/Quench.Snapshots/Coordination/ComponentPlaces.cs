using Quench.Interop.Linux;

namespace Quench.Snapshots.Coordination;

/// <summary>Where a component's files lie.</summary>
/// <param name="Volumes">The volumes of the set that hold any of them, by name.</param>
/// <param name="IsWhole">All of them lie on volumes of the set. Folders that are not there count for nothing.</param>
public sealed record ComponentPlace(IReadOnlyList<string> Volumes, bool IsWhole)
{
    /// <summary>Where each of its folders lies inside an image; those that were not there, or whose place can't be told, are missing.</summary>
    public IReadOnlyList<FolderPlace> Folders { get; init; } = [];
}

/// <summary>On which volumes of the set the components of each writer lie, as it was when they were asked.</summary>
public sealed class ComponentPlaces
{
    private readonly IReadOnlyList<IReadOnlyDictionary<string, ComponentPlace>?> _places; // by writer, then by component; null for a writer that did not say

    private ComponentPlaces(IReadOnlyList<IReadOnlyDictionary<string, ComponentPlace>?> places) => _places = places;

    /// <summary>No writers.</summary>
    public static ComponentPlaces None { get; } = new([]);

    /// <summary>Where a component lies.</summary>
    /// <param name="writer">The writer's place in the reports.</param>
    /// <param name="component">The component's name.</param>
    public ComponentPlace Of(int writer, string component) => _places[writer]![component];

    /// <summary>Whether anything of a writer lies on a volume of the set, or may: it did not say.</summary>
    public bool TouchesSet(int writer) => _places[writer] is not { } places || places.Values.Any(place => place.Volumes.Count > 0);

    internal static ComponentPlaces Find(IReadOnlyList<OperationVolume> volumes, IReadOnlyList<WriterMetadata?> writers)
    {
        Dictionary<DeviceNumber, string> devices = [];
        foreach (OperationVolume volume in volumes)
        {
            if (volume.MountPoint is { } mountPoint && NativeFile.TryGetStatus(mountPoint) is { } status)
            {
                devices[status.Device] = volume.Name;
            }
        }

        FolderPlaces places = new(volumes, Mounts.Read());
        return new ComponentPlaces([.. writers.Select(writer => writer?.Components
            .DistinctBy(component => component.Name)
            .ToDictionary(component => component.Name, component => Find(component, devices, places)))]);
    }

    private static ComponentPlace Find(WriterComponent component, Dictionary<DeviceNumber, string> devices, FolderPlaces places)
    {
        SortedSet<string> found = new(StringComparer.Ordinal);
        Dictionary<string, FolderPlace> folders = [];
        bool isWhole = true;
        foreach (ComponentFiles files in component.Files)
        {
            if (NativeFile.TryGetStatus(files.Folder) is { } status)
            {
                FolderPlace? place = places.Find(files.Folder);
                if (place is not null)
                {
                    folders[files.Folder] = place;
                }

                if ((place?.Volume ?? devices.GetValueOrDefault(status.Device)) is { } volume)
                {
                    found.Add(volume);
                }
                else
                {
                    isWhole = false;
                }
            }
        }

        return new ComponentPlace([.. found], isWhole && found.Count > 0) { Folders = [.. folders.Values] };
    }
}
