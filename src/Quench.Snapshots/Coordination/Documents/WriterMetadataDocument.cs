using System.Xml;

namespace Quench.Snapshots.Coordination.Documents;

/// <summary>What the writers said about themselves, as XML: names, components, files to include and exclude, how to restore. (docs/schemas/writer-metadata.xsd)</summary>
public static class WriterMetadataDocument
{
    /// <summary>The namespace of version 1.</summary>
    public const string Namespace = "urn:quench:writer-metadata:1";

    /// <summary>Writes the document.</summary>
    /// <param name="writers">Those that said who they are are in it; the others are in the backup components document alone.</param>
    public static string Write(IReadOnlyList<WriterReport> writers) => XmlText.Write("writer-metadata", Namespace, xml =>
    {
        foreach (WriterReport writer in writers)
        {
            if (writer.Metadata is { } metadata)
            {
                Write(xml, writer.Identity, metadata);
            }
        }
    });

    /// <summary>Reads back what writers said about themselves.</summary>
    /// <param name="document">A document of this kind, from a point.</param>
    public static IReadOnlyList<(WriterIdentity Identity, WriterMetadata Metadata)> Read(string document) =>
        [.. XmlText.Read(document).Elements("writer").Select(writer => (XmlText.ReadIdentity(writer), ReadMetadata(writer)))];

    private static WriterMetadata ReadMetadata(XmlElement writer) => new()
    {
        Level = XmlText.LevelOf(writer.GetAttribute("level")),
        Version = writer.GetAttribute("version"),
        Method = writer.Elements("method").FirstOrDefault()?.InnerText ?? "",
        CannotHold = writer.Elements("cannot-hold").FirstOrDefault()?.InnerText,
        Components = [.. writer.Elements("component").Select(ReadComponent)],
    };

    private static WriterComponent ReadComponent(XmlElement component)
    {
        XmlElement? restore = component.Elements("restore").FirstOrDefault();
        return new WriterComponent
        {
            Name = component.GetAttribute("name"),
            Caption = component.GetAttribute("caption"),
            Kind = XmlText.KindOf(component.GetAttribute("kind")),
            Files = ReadFiles(component, "files"),
            Excluded = ReadFiles(component, "excluded"),
            Restore = XmlText.MethodOf(restore?.GetAttribute("method") ?? ""),
            RestoreNote = restore?.InnerText ?? "",
        };
    }

    private static ComponentFiles[] ReadFiles(XmlElement component, string element) => [.. component.Elements(element).Select(files =>
        new ComponentFiles(files.GetAttribute("folder"), files.GetAttribute("pattern"), XmlConvert.ToBoolean(files.GetAttribute("recursive"))))];

    private static void Write(XmlWriter xml, WriterIdentity identity, WriterMetadata metadata)
    {
        xml.WriteStartElement("writer");
        XmlText.WriteIdentity(xml, identity);
        xml.WriteAttributeString("level", XmlText.NameOf(metadata.Level));
        XmlText.WriteOptional(xml, "version", metadata.Version);
        xml.WriteElementString("method", XmlText.Clean(metadata.Method));
        if (metadata.CannotHold is { } why)
        {
            xml.WriteElementString("cannot-hold", XmlText.Clean(why));
        }

        foreach (WriterComponent component in metadata.Components)
        {
            Write(xml, component);
        }

        xml.WriteEndElement();
    }

    private static void Write(XmlWriter xml, WriterComponent component)
    {
        xml.WriteStartElement("component");
        XmlText.WriteAttribute(xml, "name", component.Name);
        XmlText.WriteOptional(xml, "caption", component.Caption);
        xml.WriteAttributeString("kind", XmlText.NameOf(component.Kind));
        foreach (ComponentFiles files in component.Files)
        {
            Write(xml, "files", files);
        }

        foreach (ComponentFiles files in component.Excluded)
        {
            Write(xml, "excluded", files);
        }

        xml.WriteStartElement("restore");
        xml.WriteAttributeString("method", XmlText.NameOf(component.Restore));
        xml.WriteString(XmlText.Clean(component.RestoreNote));
        xml.WriteEndElement();
        xml.WriteEndElement();
    }

    private static void Write(XmlWriter xml, string element, ComponentFiles files)
    {
        xml.WriteStartElement(element);
        XmlText.WriteAttribute(xml, "folder", files.Folder);
        XmlText.WriteAttribute(xml, "pattern", files.Pattern);
        xml.WriteAttributeString("recursive", files.IsRecursive ? "true" : "false");
        xml.WriteEndElement();
    }
}
