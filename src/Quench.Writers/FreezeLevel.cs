namespace Quench.Writers;

/// <summary>When a writer is held, among the others. (VSS: VSS_APPLICATION_LEVEL)</summary>
public enum FreezeLevel
{
    /// <summary>With most others.</summary>
    BackEnd,

    /// <summary>First: it writes into others.</summary>
    FrontEnd,

    /// <summary>Last: others write into it.</summary>
    System,
}
