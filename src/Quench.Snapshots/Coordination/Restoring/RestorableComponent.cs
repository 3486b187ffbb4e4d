using Quench.Snapshots.Coordination.Documents;

namespace Quench.Snapshots.Coordination.Restoring;

/// <summary>A component as a point holds it, with all that its writer said about restoring it.</summary>
/// <param name="Writer">Whose it is.</param>
/// <param name="Component">Its files, and how they are put back.</param>
/// <param name="Grade">How consistent it is: "crash", "file-system", "application".</param>
/// <param name="Place">Where its files lie in the point.</param>
/// <param name="Documents">What its writer handed over for a restore.</param>
public sealed record RestorableComponent(
    WriterIdentity Writer, WriterComponent Component, string Grade, ComponentPlace Place, IReadOnlyList<WriterDocument> Documents)
{
    /// <summary>As it is named on the command line.</summary>
    public string Name => $"{Writer.Name}/{Component.Name}";

    /// <summary>Whether the words on a command line mean it: its writer alone, or its writer and its name. A writer's instance may stand for the writer's name.</summary>
    public bool IsMeantBy(string words) => Same(words, Writer.Name) || Same(words, Name)
        || (Writer.InstanceName.Length > 0 && (Same(words, Writer.InstanceName) || Same(words, $"{Writer.InstanceName}/{Component.Name}")));

    /// <summary>The components that a point holds anything of.</summary>
    /// <param name="metadata">Its writer metadata document.</param>
    /// <param name="components">Its backup components document.</param>
    public static IReadOnlyList<RestorableComponent> Read(string metadata, string components)
    {
        if (metadata.Length == 0 || components.Length == 0)
        {
            return [];
        }

        ILookup<Guid, BackedUpComponent> held = BackupComponentsDocument.ReadComponents(components).ToLookup(one => one.Instance, one => one.Component);
        ILookup<Guid, WriterDocument> documents = BackupComponentsDocument.ReadDocuments(components).ToLookup(one => one.Instance, one => one.Document);
        return [.. WriterMetadataDocument.Read(metadata).SelectMany(writer => held[writer.Identity.InstanceId].SelectMany(one => writer.Metadata.Components
            .Where(component => component.Name == one.Name)
            .Select(component => new RestorableComponent(writer.Identity, component, one.Grade, one.Place, [.. documents[writer.Identity.InstanceId]]))))];
    }

    private static bool Same(string one, string other) => string.Equals(one, other, StringComparison.OrdinalIgnoreCase);
}
