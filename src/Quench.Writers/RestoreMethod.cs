namespace Quench.Writers;

/// <summary>How a component is restored. (VSS: VSS_RESTOREMETHOD_ENUM)</summary>
public enum RestoreMethod
{
    /// <summary>The application is stopped, the files are put back, it is started.</summary>
    StopRestoreStart,

    /// <summary>Only files that are not there.</summary>
    IfNotThere,

    /// <summary>Only if all files can be replaced.</summary>
    IfCanReplace,

    /// <summary>Somewhere else, for the application to take over.</summary>
    AlternateLocation,

    /// <summary>As its note says.</summary>
    Custom,
}
