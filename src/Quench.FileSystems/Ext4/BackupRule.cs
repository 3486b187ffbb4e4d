namespace Quench.FileSystems.Ext4;

/// <summary>Which groups hold a superblock. (Linux Documentation/filesystems/ext4, "Super Block": sparse_super, sparse_super2)</summary>
internal sealed record BackupRule
{
    private readonly bool _sparse;
    private readonly (uint First, uint Second)? _only;

    private BackupRule(bool sparse, (uint First, uint Second)? only)
    {
        _sparse = sparse;
        _only = only;
    }

    public static BackupRule From(Superblock superblock) => new(
        superblock.Has(ReadOnlyCompatibleFeatures.SparseSuper),
        superblock.Has(CompatibleFeatures.SparseSuper2) ? superblock.BackupGroups : null);

    /// <summary>Whether a group does: group 0 always; then the two named ones, or 1 and the powers of 3, 5 and 7, or all.</summary>
    public bool Holds(int group)
    {
        if (group == 0)
        {
            return true;
        }

        if (_only is { } only)
        {
            return group == only.First || group == only.Second;
        }

        return !_sparse || group == 1 || IsPowerOf(3, group) || IsPowerOf(5, group) || IsPowerOf(7, group);
    }

    private static bool IsPowerOf(int root, int group)
    {
        while (group % root == 0)
        {
            group /= root;
        }

        return group == 1;
    }
}
