namespace Quench.Writers;

/// <summary>What kind of thing a component is. (VSS: VSS_COMPONENT_TYPE)</summary>
public enum ComponentKind
{
    /// <summary>A database.</summary>
    Database,

    /// <summary>Files.</summary>
    FileGroup,
}
