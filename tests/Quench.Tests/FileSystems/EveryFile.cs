using Quench.FileSystems;

namespace Quench.Tests.FileSystems;

/// <summary>Wants every file, or those at some paths.</summary>
internal sealed class EveryFile : IFileSelection, IFolderSelection
{
    private readonly string _folder;
    private readonly Func<string, bool> _isWanted;
    private readonly long _keptHead;

    public EveryFile(Func<string, bool>? isWanted = null, long keptHead = 0)
        : this("", isWanted ?? (_ => true), keptHead)
    {
    }

    private EveryFile(string folder, Func<string, bool> isWanted, long keptHead) => (_folder, _isWanted, _keptHead) = (folder, isWanted, keptHead);

    public IFolderSelection? RootOf(string type, int? partition) => this;

    public WantedFile? FileOf(string name, bool ignoresCase) => _isWanted($"{_folder}/{name}") ? new WantedFile(0, _keptHead) : null;

    public IFolderSelection? Below(string name, bool ignoresCase) => new EveryFile($"{_folder}/{name}", _isWanted, _keptHead);
}
