namespace Quench.Snapshots.Engine;

/// <summary>What a write does next.</summary>
internal enum WriteStep
{
    /// <summary>Wait until <see cref="CopyBeforeWrite.WakeVersion"/> grows, then ask again. <see cref="WriteOperation.WaitsFor"/> says for what.</summary>
    Wait,

    /// <summary>Copy <see cref="WriteOperation.Saves"/>, report it with <see cref="CopyBeforeWrite.CompleteSave"/>, then ask again.</summary>
    Save,

    /// <summary>Write to the origin, then call <see cref="CopyBeforeWrite.EndWrite"/>, whether that succeeded or not.</summary>
    Land,
}

/// <summary>What a waiting write waits for.</summary>
internal enum WaitReason
{
    /// <summary>Nothing: it is not waiting.</summary>
    None,

    /// <summary>A snapshot is about to be taken: the writes before it are draining. Ends with the activation or its cancelling.</summary>
    Activation,

    /// <summary>Another write is saving a block that this one touches. Ends with that save.</summary>
    OtherSave,

    /// <summary>The diff area is full. Ends when slots are freed, or when the shell breaks the snapshot at the limit it grants.</summary>
    DiffArea,
}
