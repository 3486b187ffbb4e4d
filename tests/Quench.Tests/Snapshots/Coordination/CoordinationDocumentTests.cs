using System.Xml;
using System.Xml.Schema;
using Quench.Snapshots.Coordination;
using Quench.Snapshots.Coordination.Documents;
using Quench.Snapshots.Coordination.Restoring;
using Quench.Tests.Architecture;
using Xunit;

namespace Quench.Tests.Snapshots.Coordination;

public sealed class CoordinationDocumentTests
{
    [Fact]
    public async Task Both_documents_fit_their_schemas_and_give_back_what_writers_handed_over()
    {
        (IReadOnlyList<WriterReport> reports, ComponentPlaces places) = await ReportAsync();
        string metadata = WriterMetadataDocument.Write(reports);
        string components = BackupComponentsDocument.Write(
            Guid.NewGuid(), [("root", "/dev/sda1", "application")], reports, index => [new BackedUpComponent("data", "application", places.Of(index, "data"))]);
        Validate(metadata, "writer-metadata.xsd", WriterMetadataDocument.Namespace);
        Validate(components, "backup-components.xsd", BackupComponentsDocument.Namespace);
        (Guid instance, WriterDocument document) = Assert.Single(BackupComponentsDocument.ReadDocuments(components));
        Assert.Equal((reports[0].Identity.InstanceId, new WriterDocument("label", "/data/label", "START <WAL> & more\n")), (instance, document));
        Assert.Contains("put it &lt;back&gt; &amp; start \uFFFD it", metadata, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_a_restore_must_know_of_a_component_is_read_back_as_it_was_written()
    {
        (IReadOnlyList<WriterReport> reports, _) = await ReportAsync();
        ComponentPlace place = new(["root"], true) { Folders = [new FolderPlace("/data", "root", 1L << 40, "/sub/data & more")] };
        string components = BackupComponentsDocument.Write(
            Guid.NewGuid(), [("root", "/dev/sda", "application")], reports, index => [new BackedUpComponent("data", "application", place)]);
        Validate(components, "backup-components.xsd", BackupComponentsDocument.Namespace);
        (Guid instance, BackedUpComponent component) = Assert.Single(BackupComponentsDocument.ReadComponents(components));
        Assert.Equal((reports[0].Identity.InstanceId, "data", "application", true), (instance, component.Name, component.Grade, component.Place.IsWhole));
        Assert.Equal(place.Folders, component.Place.Folders);

        (WriterIdentity identity, WriterMetadata metadata) = Assert.Single(WriterMetadataDocument.Read(WriterMetadataDocument.Write(reports)));
        Assert.Equal(reports[0].Identity, identity);
        WriterComponent written = Assert.Single(reports[0].Metadata!.Components);
        WriterComponent read = Assert.Single(metadata.Components);
        Assert.Equal((written.Name, written.Caption, written.Kind, written.Restore), (read.Name, read.Caption, read.Kind, read.Restore));
        Assert.Equal(written.Files, read.Files);
        Assert.Equal(written.Excluded, read.Excluded);
        RestorableComponent whole = Assert.Single(RestorableComponent.Read(WriterMetadataDocument.Write(reports), components));
        Assert.True(whole.IsMeantBy("ONE") && whole.IsMeantBy("one/data") && !whole.IsMeantBy("one/other"));
        Assert.Equal("label", Assert.Single(whole.Documents).Name);
    }

    [Fact]
    public void An_older_document_that_does_not_say_where_files_lie_is_still_read()
    {
        const string Older = """
            <backup-components set="0d8a7a39-1a0c-4a57-9d0b-2a8f3f1f6c01" xmlns="urn:quench:backup-components:1">
              <writer id="0d8a7a39-1a0c-4a57-9d0b-2a8f3f1f6c01" instance="0d8a7a39-1a0c-4a57-9d0b-2a8f3f1f6c02" name="Test" state="5" error="0x00000000" consistent="true">
                <component name="files" grade="application" volumes="root more" whole="true" />
              </writer>
            </backup-components>
            """;
        (_, BackedUpComponent component) = Assert.Single(BackupComponentsDocument.ReadComponents(Older));
        Assert.Equal(["root", "more"], component.Place.Volumes);
        Assert.Empty(component.Place.Folders);
    }

    [Theory]
    [InlineData("plain", "plain")]
    [InlineData("a bell \u0007", "a bell \uFFFD")]
    [InlineData("a whole \uD83D\uDE00 pair", "a whole \uD83D\uDE00 pair")]
    public void What_XML_can_not_hold_is_replaced(string text, string expected) => Assert.Equal(expected, Quench.Snapshots.Coordination.Documents.XmlText.Clean(text));

    [Fact] // a half of a pair can't be in an attribute's text
    public void Half_a_pair_of_surrogates_is_replaced() =>
        Assert.Equal("half \uFFFD of a pair", Quench.Snapshots.Coordination.Documents.XmlText.Clean("half " + (char)0xD83D + " of a pair"));

    private static async Task<(IReadOnlyList<WriterReport> Reports, ComponentPlaces Places)> ReportAsync()
    {
        CancellationToken token = TestContext.Current.CancellationToken;
        await using WriterCoordination coordination = new(
            new CoordinationOptions { Volumes = [new OperationVolume("root", "/dev/sda1", "/")], Sources = [new ScriptedSource(() => new ScriptedWriter("one"))] }, TimeProvider.System);
        await coordination.HoldAsync(token);
        await coordination.LetGoAsync(taken: true);
        return (await coordination.SettleAsync(token), coordination.Places);
    }

    private static void Validate(string document, string schema, string ns)
    {
        XmlSchemaSet schemas = new();
        schemas.Add(ns, Path.Combine(Repository.Root, "docs", "schemas", schema));
        List<string> faults = [];
        XmlReaderSettings settings = new() { ValidationType = ValidationType.Schema, Schemas = schemas };
        settings.ValidationEventHandler += (_, fault) => faults.Add(fault.Message);
        using XmlReader reader = XmlReader.Create(new StringReader(document), settings);
        while (reader.Read())
        {
            // Reading is what validates.
        }

        Assert.Empty(faults);
    }
}
