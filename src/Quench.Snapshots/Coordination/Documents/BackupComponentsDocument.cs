using System.Xml;

namespace Quench.Snapshots.Coordination.Documents;

/// <summary>A component as a backup holds it.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Grade">Its grade's word.</param>
/// <param name="Place">Where it lies.</param>
public sealed record BackedUpComponent(string Name, string Grade, ComponentPlace Place);

/// <summary>What a backup did with the writers, as XML: the set, its volumes, each writer's state and error, its components and their grades, and what it handed over. (docs/schemas/backup-components.xsd)</summary>
public static class BackupComponentsDocument
{
    /// <summary>The namespace of version 1.</summary>
    public const string Namespace = "urn:quench:backup-components:1";

    /// <summary>Writes the document.</summary>
    /// <param name="set">The snapshot set.</param>
    /// <param name="volumes">Name, source and grade of each volume.</param>
    /// <param name="writers">All that were found.</param>
    /// <param name="componentsOf">The components of a writer that lie on the volumes, by its place in the list.</param>
    public static string Write(
        Guid set,
        IReadOnlyList<(string Name, string Source, string Grade)> volumes,
        IReadOnlyList<WriterReport> writers,
        Func<int, IReadOnlyList<BackedUpComponent>> componentsOf) => XmlText.Write("backup-components", Namespace, xml =>
    {
        xml.WriteAttributeString("set", set.ToString("D"));
        foreach ((string name, string source, string grade) in volumes)
        {
            xml.WriteStartElement("volume");
            XmlText.WriteAttribute(xml, "name", name);
            XmlText.WriteAttribute(xml, "source", source);
            xml.WriteAttributeString("grade", grade);
            xml.WriteEndElement();
        }

        for (int index = 0; index < writers.Count; index++)
        {
            Write(xml, writers[index], componentsOf(index));
        }
    });

    /// <summary>Reads back what writers handed over.</summary>
    /// <param name="document">A document of this kind, from a point.</param>
    /// <returns>The documents, each with its writer's instance.</returns>
    public static IReadOnlyList<(Guid Instance, WriterDocument Document)> ReadDocuments(string document)
    {
        List<(Guid, WriterDocument)> found = [];
        foreach (XmlElement writer in XmlText.Read(document).Elements("writer"))
        {
            Guid instance = Guid.Parse(writer.GetAttribute("instance"));
            foreach (XmlElement handed in writer.Elements("document"))
            {
                found.Add((instance, new WriterDocument(handed.GetAttribute("name"), handed.HasAttribute("path") ? handed.GetAttribute("path") : null, handed.InnerText)));
            }
        }

        return found;
    }

    /// <summary>Reads back which components a backup holds and where they lie. Older documents do not say where in the images.</summary>
    /// <param name="document">A document of this kind, from a point.</param>
    /// <returns>The components, each with its writer's instance.</returns>
    public static IReadOnlyList<(Guid Instance, BackedUpComponent Component)> ReadComponents(string document) =>
        [.. XmlText.Read(document).Elements("writer").SelectMany(writer => writer.Elements("component")
            .Select(component => (Guid.Parse(writer.GetAttribute("instance")), ReadComponent(component))))];

    private static BackedUpComponent ReadComponent(XmlElement component)
    {
        string volumes = component.GetAttribute("volumes");
        return new BackedUpComponent(
            component.GetAttribute("name"),
            component.GetAttribute("grade"),
            new ComponentPlace(volumes.Length == 0 ? [] : volumes.Split(' '), XmlConvert.ToBoolean(component.GetAttribute("whole")))
            {
                Folders = [.. component.Elements("place").Select(place => new FolderPlace(
                    place.GetAttribute("folder"), place.GetAttribute("volume"), XmlConvert.ToInt64(place.GetAttribute("offset")), place.GetAttribute("path")))],
            });
    }

    private static void Write(XmlWriter xml, WriterReport writer, IReadOnlyList<BackedUpComponent> components)
    {
        xml.WriteStartElement("writer");
        XmlText.WriteIdentity(xml, writer.Identity);
        xml.WriteAttributeString("state", XmlConvert.ToString((int)writer.State));
        xml.WriteAttributeString("error", $"0x{(uint)writer.Error:X8}");
        xml.WriteAttributeString("consistent", writer.IsConsistent ? "true" : "false");
        if (writer.HeldFor is { } held)
        {
            xml.WriteAttributeString("held-ms", XmlConvert.ToString(Math.Round(held.TotalMilliseconds, 3)));
        }

        if (writer.Message is { } message)
        {
            xml.WriteElementString("message", XmlText.Clean(message));
        }

        foreach (BackedUpComponent component in components)
        {
            xml.WriteStartElement("component");
            XmlText.WriteAttribute(xml, "name", component.Name);
            xml.WriteAttributeString("grade", component.Grade);
            XmlText.WriteAttribute(xml, "volumes", string.Join(' ', component.Place.Volumes));
            xml.WriteAttributeString("whole", component.Place.IsWhole ? "true" : "false");
            foreach (FolderPlace place in component.Place.Folders)
            {
                xml.WriteStartElement("place");
                XmlText.WriteAttribute(xml, "folder", place.Folder);
                XmlText.WriteAttribute(xml, "volume", place.Volume);
                xml.WriteAttributeString("offset", XmlConvert.ToString(place.Offset));
                XmlText.WriteAttribute(xml, "path", place.Path);
                xml.WriteEndElement();
            }

            xml.WriteEndElement();
        }

        foreach (WriterDocument document in writer.Documents)
        {
            xml.WriteStartElement("document");
            XmlText.WriteAttribute(xml, "name", document.Name);
            if (document.Path is { } path)
            {
                XmlText.WriteAttribute(xml, "path", path);
            }

            xml.WriteString(XmlText.Clean(document.Text));
            xml.WriteEndElement();
        }

        xml.WriteEndElement();
    }
}
