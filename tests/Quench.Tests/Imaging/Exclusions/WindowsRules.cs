using Quench.FileSystems;
using Quench.Imaging.Capture.Exclusions;

namespace Quench.Tests.Imaging.Exclusions;

/// <summary>What is left out of a Windows volume without being asked.</summary>
internal sealed class WindowsRules : IFileSelection
{
    public IFolderSelection? RootOf(string type, int? partition) => new ExclusionRules(ExclusionRules.OfWindows).RootOf(type, partition);
}
