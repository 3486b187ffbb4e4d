namespace Quench.Snapshots.Coordination.Restoring;

/// <summary>
/// How a restored tree takes the place of what is there: by as few renames as can be, each of a file or of a whole folder. What does not belong to the component stays where it is, so a folder
/// that has any of it stays as well, and only its entries are exchanged.
/// </summary>
/// <param name="Steps">In order.</param>
/// <param name="Folders">Folders that stay and belong to the component: their owner, mode and times are still to be set. Relative, bytes as characters; "" is the root.</param>
public sealed record SwapPlan(IReadOnlyList<SwapStep> Steps, IReadOnlyList<string> Folders)
{
    /// <summary>Thinks it through.</summary>
    /// <param name="live">The folder whose content is restored; it need not be there.</param>
    /// <param name="isThere">It is.</param>
    /// <param name="mayBeRenamed">The folder itself can change places: nothing is mounted on it, and the other two lie in its file system.</param>
    /// <param name="there">What is in it.</param>
    /// <param name="fresh">The folder with what is restored.</param>
    /// <param name="arrived">What is in that.</param>
    /// <param name="kept">The folder that takes what was there; nothing is at that name yet.</param>
    /// <param name="takesRoot">The folder itself belongs to the component.</param>
    /// <exception cref="IOException">Something that does not belong to the component is where something of it must go.</exception>
    public static SwapPlan Make(
        string live, bool isThere, bool mayBeRenamed, IEnumerable<TreeEntry> there, string fresh, IEnumerable<TreeEntry> arrived, string kept, bool takesRoot)
    {
        if (!isThere)
        {
            return new SwapPlan([new SwapStep(live, fresh, null)], []);
        }

        Node old = Node.Tree(there, isRootChosen: takesRoot && mayBeRenamed);
        if (old.IsAllChosen)
        {
            return new SwapPlan([new SwapStep(live, fresh, kept)], []);
        }

        List<SwapStep> steps = [];
        List<string> folders = takesRoot ? [""] : [];
        Merge("", old, Node.Tree(arrived, isRootChosen: true));
        return new SwapPlan(steps, folders);

        void Merge(string folder, Node oldFolder, Node? newFolder)
        {
            foreach (string name in oldFolder.Children.Keys.Union(newFolder?.Children.Keys ?? Enumerable.Empty<string>()).Order(StringComparer.Ordinal))
            {
                string path = folder.Length == 0 ? name : $"{folder}/{name}";
                string text = FileChoice.TextOf(path);
                Node? one = oldFolder.Children.GetValueOrDefault(name);
                Node? other = newFolder?.Children.GetValueOrDefault(name);
                if (one is null)
                {
                    steps.Add(new SwapStep($"{live}/{text}", $"{fresh}/{text}", null));
                }
                else if (one.IsAllChosen)
                {
                    steps.Add(new SwapStep($"{live}/{text}", other is null ? null : $"{fresh}/{text}", $"{kept}/{text}"));
                }
                else if (one.IsFolder && other is null or { IsFolder: true })
                {
                    if (other is not null && one.IsChosen)
                    {
                        folders.Add(path);
                    }

                    Merge(path, one, other);
                }
                else if (other is not null)
                {
                    throw new IOException($"{live}/{text} does not belong to the component, and is where something of it must go");
                }
            }
        }
    }

    private sealed class Node
    {
        public SortedDictionary<string, Node> Children { get; } = new(StringComparer.Ordinal);

        public bool IsFolder { get; private set; }

        public bool IsChosen { get; private set; }

        public bool IsAllChosen { get; private set; }

        public static Node Tree(IEnumerable<TreeEntry> entries, bool isRootChosen)
        {
            Node root = new() { IsFolder = true, IsChosen = isRootChosen };
            foreach (TreeEntry entry in entries)
            {
                Node node = root;
                foreach (string name in entry.Path.Split('/'))
                {
                    node.IsFolder = true;
                    if (!node.Children.TryGetValue(name, out Node? child))
                    {
                        node.Children[name] = child = new Node();
                    }

                    node = child;
                }

                node.IsFolder |= entry.IsFolder;
                node.IsChosen = entry.IsChosen;
            }

            root.Judge();
            return root;
        }

        private bool Judge()
        {
            IsAllChosen = IsChosen;
            foreach (Node child in Children.Values)
            {
                IsAllChosen &= child.Judge();
            }

            return IsAllChosen;
        }
    }
}
