using Quench.Blocks;
using Quench.Imaging.Recovery.Files;
using Quench.Snapshots.Coordination;
using Quench.Snapshots.Coordination.Restoring;
using Quench.Vault;

namespace Quench.Imaging.Recovery.Components;

/// <summary>Thinks a restore of components through: which they are, which folders, which files, what is there.</summary>
/// <param name="point">The point.</param>
/// <param name="request">What is asked for.</param>
/// <param name="open">Gives the files of a file system in the point; owns them.</param>
internal sealed class ComponentPlanner(RecoveryPoint point, ComponentRequest request, Func<FolderPlace, Task<PointFiles>> open)
{
    /// <summary>What is left behind by us begins so, and is never the component's.</summary>
    public const string OurPrefix = ".quench-";

    private readonly List<WriterDocument> _notPlaced = [];

    /// <summary>The components that are meant, each whole.</summary>
    /// <exception cref="QuenchException">RST-130 to RST-133.</exception>
    public static IReadOnlyList<RestorableComponent> Pick(RecoveryPoint point, ComponentRequest request)
    {
        IReadOnlyList<RestorableComponent> there = point.Coordination is { } record ? RestorableComponent.Read(record.MetadataDocument, record.ComponentsDocument) : [];
        List<RestorableComponent> picked = [];
        foreach (string wanted in request.Components)
        {
            RestorableComponent[] meant = [.. there.Where(one => one.IsMeantBy(wanted))];
            RestorableComponent found = meant.Length switch
            {
                0 => throw ComponentErrors.NoSuch(point, wanted, there),
                1 => meant[0],
                _ => throw ComponentErrors.Ambiguous(wanted, meant),
            };
            if (!found.Place.IsWhole)
            {
                throw ComponentErrors.NotWhole(point, found);
            }

            if (request.To is null && found.Component.Restore is RestoreMethod.RestoreToAlternateLocation or RestoreMethod.Custom)
            {
                throw ComponentErrors.NeedsFolder(found);
            }

            picked.Add(found);
        }

        return [.. picked.Distinct()];
    }

    /// <summary>The plan.</summary>
    /// <param name="components">From <see cref="Pick"/>.</param>
    /// <param name="asked">The writers that are here.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="QuenchException">RST-132, RST-134, RST-138, RST-141; what mounting throws.</exception>
    public async Task<ComponentRestorePlan> MakeAsync(IReadOnlyList<RestorableComponent> components, IReadOnlyList<WriterIdentity> asked, CancellationToken cancellationToken)
    {
        List<RestoreFolder> folders = [];
        foreach (RestorableComponent component in components)
        {
            List<RestoreFolder> own = [];
            List<WriterDocument> documents = [.. component.Documents.Where(document => document.Path is not null)];
            foreach (IGrouping<FolderPlace, ComponentFiles> group in Groups(component))
            {
                WriterDocument[] inside = [.. documents.Where(document => FileChoice.Below(group.Key.Folder, document.Path!) is { Length: > 0 })];
                documents.RemoveAll(inside.Contains);
                own.Add(await MakeAsync(component, group.Key, [.. group], inside, cancellationToken));
            }

            if (own.Sum(folder => folder.FileCount) == 0)
            {
                throw ComponentErrors.NotSaid(point, component, "any file");
            }

            _notPlaced.AddRange(documents);
            folders.AddRange(own);
        }

        DemandRoom(folders);
        return new ComponentRestorePlan
        {
            Point = point,
            Components = components,
            Folders = folders,
            Target = request.To is { } to ? FileChoice.Normal(Path.GetFullPath(to)) : "/",
            Asked = asked,
            NotPlaced = [.. _notPlaced.Where(document => !folders.Any(folder => folder.Documents.Any(one => one.Name == document.Name && one.Text == document.Text))).Distinct()],
            DiscardsReplaced = request.DiscardReplaced,
        };
    }

    /// <summary>Sets by the folder that they are restored with: the topmost in whose image they lie too.</summary>
    private IEnumerable<IGrouping<FolderPlace, ComponentFiles>> Groups(RestorableComponent component)
    {
        List<(FolderPlace Top, ComponentFiles Set)> sets = [];
        List<FolderPlace> tops = [];
        foreach (ComponentFiles set in component.Component.Files.OrderBy(set => FileChoice.Normal(set.Folder).Length))
        {
            FolderPlace? place = component.Place.Folders.FirstOrDefault(one => one.Folder == set.Folder);
            if (place is null)
            {
                if (component.Place.Folders.Count == 0)
                {
                    throw ComponentErrors.NotSaid(point, component, set.Folder);
                }

                continue; // it was not there
            }

            FolderPlace? top = tops.FirstOrDefault(one => one.Volume == place.Volume && one.Offset == place.Offset
                && FileChoice.Below(one.Folder, place.Folder) is { } inside && FileChoice.Below(one.Path, place.Path) == inside);
            if (top is null)
            {
                tops.Add(place);
            }

            sets.Add((top ?? place, set));
        }

        return sets.GroupBy(set => set.Top, set => set.Set);
    }

    private async Task<RestoreFolder> MakeAsync(
        RestorableComponent component, FolderPlace place, ComponentFiles[] sets, WriterDocument[] documents, CancellationToken cancellationToken)
    {
        FileChoice choice = new(
            place.Folder, sets, component.Component.Excluded, documents.Select(document => FileChoice.BytesOf(FileChoice.Below(place.Folder, document.Path!)!)));
        PointFiles files = await open(place);
        string source = files.Find(place.Path) ?? throw ComponentErrors.Gone(component, place);
        TreeFile[] chosen = [.. Choose(await ListAsync(source, isQuiet: true, cancellationToken), choice)];
        TargetFolder target = TargetFolder.Look(request.To is { } to ? Path.Join(Path.GetFullPath(to), place.Folder) : place.Folder);
        long there = target.IsThere ? (await LiveAsync(target, choice, cancellationToken)).Count(entry => entry is { IsChosen: true, IsFolder: false }) : 0;
        RestoreFolder folder = new()
        {
            Folder = place.Folder,
            Place = place,
            Target = target,
            FileCount = chosen.LongCount(file => !file.IsFolder) + documents.Length,
            Bytes = chosen.Where(file => file.Kind == 'f').Sum(file => file.Length),
            NeededBytes = chosen.Where(file => file.Kind == 'f').Sum(file => Math.Max(file.Allocated, Math.Min(file.Length, PointFilesGrain))),
            ReplacedCount = there,
            Documents = documents,
            Source = source,
            Choice = choice,
            Files = chosen,
        };
        bool mustBeEmpty = request.To is not null || component.Component.Restore == RestoreMethod.RestoreIfNotThere;
        return there > 0 && mustBeEmpty ? throw ComponentErrors.IsThere(folder, request.To is null) : folder;
    }

    private const long PointFilesGrain = 4096; // a small file may lie in its inode there and take a block here

    /// <summary>What a component takes of a tree, with the folders on the way to it.</summary>
    internal static IEnumerable<TreeFile> Choose(IReadOnlyList<TreeFile> tree, FileChoice choice)
    {
        HashSet<string> onTheWay = [""];
        HashSet<string> taken = [];
        foreach (TreeFile file in tree.Where(file => file is { Path.Length: > 0, Kind: not 's' } && !IsOurs(file.Path) && choice.Takes(file.Path)))
        {
            taken.Add(file.Path);
            for (int slash = file.Path.LastIndexOf('/'); slash > 0 && onTheWay.Add(file.Path[..slash]); slash = file.Path.LastIndexOf('/', slash - 1))
            {
                // each folder above
            }
        }

        return tree.Where(file => taken.Contains(file.Path) || (file.IsFolder && onTheWay.Contains(file.Path)));
    }

    /// <summary>What is in a folder now. What lies on another file system, and what we put there, is not the component's.</summary>
    internal static async Task<IReadOnlyList<TreeEntry>> LiveAsync(TargetFolder target, FileChoice choice, CancellationToken cancellationToken)
    {
        IReadOnlyList<TreeFile> tree = await ListAsync(target.Path, isQuiet: false, cancellationToken);
        string? device = tree.FirstOrDefault(file => file.Path.Length == 0).Device;
        return [.. tree.Where(file => file.Path.Length > 0).Select(file =>
            new TreeEntry(file.Path, file.IsFolder, file.Device == device && !IsOurs(file.Path) && choice.Takes(file.Path)))];
    }

    private static bool IsOurs(string path) => path.StartsWith(OurPrefix, StringComparison.Ordinal);

    private static async Task<IReadOnlyList<TreeFile>> ListAsync(string folder, bool isQuiet, CancellationToken cancellationToken)
    {
        try
        {
            return await FileTree.ListAsync(folder, isQuiet, cancellationToken);
        }
        catch (IOException failure)
        {
            throw ComponentErrors.NotCopied(folder, failure);
        }
    }

    private static void DemandRoom(List<RestoreFolder> folders)
    {
        foreach (IGrouping<string, RestoreFolder> fileSystem in folders.GroupBy(folder => folder.Target.FileSystem))
        {
            long needed = fileSystem.Sum(folder => folder.NeededBytes);
            if (needed > fileSystem.First().Target.FreeBytes)
            {
                throw ComponentErrors.NoRoom(fileSystem.First().Target, needed);
            }
        }
    }
}
