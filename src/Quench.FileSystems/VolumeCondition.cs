namespace Quench.FileSystems;

/// <summary>In what condition a volume was at the moment that is looked at: what its bytes alone can't tell.</summary>
public enum VolumeCondition
{
    /// <summary>Nobody had it mounted.</summary>
    AtRest,

    /// <summary>Its file system was mounted, and written out and frozen at the moment.</summary>
    Frozen,

    /// <summary>Its file system was mounted and in the middle of its work.</summary>
    Running,
}
