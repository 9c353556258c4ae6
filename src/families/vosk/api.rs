//! The functions of the library, with the promises that they ask for kept here: who owns what, and which thread may call.
//! Everything above this file is safe.
#![allow(unsafe_code, reason = "libvosk is a C library")]

use std::{
    ffi::{CStr, CString, c_char, c_float, c_int},
    os::unix::ffi::OsStrExt,
    path::Path,
    ptr::NonNull,
    sync::Arc,
};

use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};

/// Its model, behind a pointer.
#[repr(C)]
struct VoskModel {
    _opaque: [u8; 0],
}

/// Its recognizer, behind a pointer.
#[repr(C)]
struct VoskRecognizer {
    _opaque: [u8; 0],
}

/// Declares the table of functions, and how it is filled: each function has the type that `vosk_api.h` gives it.
macro_rules! functions {
    ($($field:ident = $symbol:literal: fn($($argument:ty),*) $(-> $result:ty)?;)*) => {
        /// A loaded library. It is never given back: some of its threads may outlive all that is asked of it.
        pub struct Api {
            $($field: unsafe extern "C" fn($($argument),*) $(-> $result)?,)*
        }

        impl Api {
            /// The functions of a library that is loaded; else the names of those that it has not.
            fn of(library: &Library) -> Result<Self, Vec<&'static str>> {
                let mut missing = Vec::new();
                // SAFETY: the types are those of the header, which has never changed one.
                $(let $field = unsafe { library.get::<unsafe extern "C" fn($($argument),*) $(-> $result)?>($symbol) };
                if $field.is_err() {
                    missing.push($symbol);
                })*
                match ($($field,)*) {
                    ($(Ok($field),)*) => Ok(Self { $($field: *$field,)* }),
                    _ => Err(missing),
                }
            }
        }
    };
}

functions! {
    set_log_level = "vosk_set_log_level": fn(c_int);
    model_new = "vosk_model_new": fn(*const c_char) -> *mut VoskModel;
    model_free = "vosk_model_free": fn(*mut VoskModel);
    model_find_word = "vosk_model_find_word": fn(*mut VoskModel, *const c_char) -> c_int;
    recognizer_new = "vosk_recognizer_new": fn(*mut VoskModel, c_float) -> *mut VoskRecognizer;
    recognizer_new_grm = "vosk_recognizer_new_grm": fn(*mut VoskModel, c_float, *const c_char) -> *mut VoskRecognizer;
    recognizer_free = "vosk_recognizer_free": fn(*mut VoskRecognizer);
    set_max_alternatives = "vosk_recognizer_set_max_alternatives": fn(*mut VoskRecognizer, c_int);
    set_words = "vosk_recognizer_set_words": fn(*mut VoskRecognizer, c_int);
    accept_waveform = "vosk_recognizer_accept_waveform_f": fn(*mut VoskRecognizer, *const c_float, c_int) -> c_int;
    result = "vosk_recognizer_result": fn(*mut VoskRecognizer) -> *const c_char;
    partial_result = "vosk_recognizer_partial_result": fn(*mut VoskRecognizer) -> *const c_char;
    final_result = "vosk_recognizer_final_result": fn(*mut VoskRecognizer) -> *const c_char;
}

/// Why a file is not the library.
#[derive(Debug, PartialEq, Eq)]
pub enum OpenError {
    /// The system cannot load it; its words, which may hold paths.
    System(String),
    /// It has none of the functions.
    Foreign,
    /// It lacks these.
    Lacks(Vec<&'static str>),
}

/// A model in memory. The library counts who uses it.
pub struct Model {
    api: &'static Api,
    model: NonNull<VoskModel>,
}

/// What hears one stretch of sound.
pub struct Recognizer {
    recognizer: NonNull<VoskRecognizer>,
    /// Held for as long as it lives.
    model: Arc<Model>,
}

/// How a recognizer is to hear.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hearing {
    /// Texts that a stretch may be, at most; 0: the one, with how sure each of its words is.
    pub max_alternatives: u16,
    /// Phrases, as a JSON array: nothing else is heard.
    pub grammar: Option<CString>,
}

/// The library failed within a call.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("libvosk failed: {0}")]
pub struct Failed(&'static str);

// === impl Api ===

impl Api {
    /// Loads a file, for good.
    pub fn open(file: &Path) -> Result<&'static Self, OpenError> {
        // SAFETY: code that runs when a library is loaded can do anything. The file is one that the configuration names, or
        // that lies where the system's libraries do; whoever can put one there can do anything already.
        let library = unsafe { Library::open(Some(file), RTLD_NOW | RTLD_LOCAL) };
        let library = library.map_err(|error| OpenError::System(error.to_string()))?;
        let api = Self::of(&library).map_err(|missing| match missing.len() {
            all if all == Self::FUNCTIONS => OpenError::Foreign,
            _ => OpenError::Lacks(missing),
        })?;
        let api: &'static Self = Box::leak(Box::new(api));
        // The functions live as long as their library.
        Box::leak(Box::new(library));
        // SAFETY: it sets a number.
        unsafe { (api.set_log_level)(ERRORS_ONLY) };
        Ok(api)
    }

    /// How many there are.
    const FUNCTIONS: usize = size_of::<Self>() / size_of::<unsafe extern "C" fn()>();
}

/// It writes to the error output by itself, past the log of the server: the reason why it does not take a model, and no more.
const ERRORS_ONLY: c_int = -2;

// === impl Model ===

// SAFETY: by its header a model is data that does not change, and any thread may use it; its count of users is atomic.
unsafe impl Send for Model {}
// SAFETY: as above.
unsafe impl Sync for Model {}

impl Model {
    /// Reads the model in a folder; `None`: the library does not take it.
    pub fn open(api: &'static Api, folder: &Path) -> Option<Arc<Self>> {
        let folder = CString::new(folder.as_os_str().as_bytes()).ok()?;
        // SAFETY: a text that ends in NUL and outlives the call.
        let model = NonNull::new(unsafe { (api.model_new)(folder.as_ptr()) })?;
        Some(Arc::new(Self { api, model }))
    }

    pub fn knows(&self, word: &str) -> bool {
        let Ok(word) = CString::new(word) else { return false };
        // SAFETY: the model lives, and so does the text, which ends in NUL.
        unsafe { (self.api.model_find_word)(self.model.as_ptr(), word.as_ptr()) >= 0 }
    }
}

impl Drop for Model {
    fn drop(&mut self) {
        // SAFETY: nobody has it any more: each recognizer holds the model.
        unsafe { (self.api.model_free)(self.model.as_ptr()) }
    }
}

// === impl Recognizer ===

// SAFETY: it has state and no thread of its own; one thread at a time calls it, since every call takes `&mut self`.
unsafe impl Send for Recognizer {}

impl Recognizer {
    /// `rate`: of the sound, in hertz.
    pub fn new(model: &Arc<Model>, rate: u32, hearing: &Hearing) -> Result<Self, Failed> {
        let (api, raw, rate) = (model.api, model.model.as_ptr(), rate as c_float);
        let recognizer = match &hearing.grammar {
            // SAFETY: the model lives, and so does the text, which ends in NUL.
            Some(grammar) => unsafe { (api.recognizer_new_grm)(raw, rate, grammar.as_ptr()) },
            // SAFETY: the model lives.
            None => unsafe { (api.recognizer_new)(raw, rate) },
        };
        let recognizer = NonNull::new(recognizer).ok_or(Failed("it makes no recognizer"))?;
        let made = Self { recognizer, model: model.clone() };
        // SAFETY: the recognizer lives; both set a number.
        unsafe {
            (api.set_max_alternatives)(recognizer.as_ptr(), c_int::from(hearing.max_alternatives));
            (api.set_words)(recognizer.as_ptr(), 1);
        }
        Ok(made)
    }

    /// Takes what follows, with samples as large as those of 16 bits; whether a stretch of speech ends here, so that there is
    /// a [result](Self::result).
    pub fn accept(&mut self, samples: &[f32]) -> Result<bool, Failed> {
        let length = c_int::try_from(samples.len()).map_err(|_| Failed("too much sound at once"))?;
        // SAFETY: the recognizer lives, and reads so many samples and no more.
        match unsafe { (self.model.api.accept_waveform)(self.recognizer.as_ptr(), samples.as_ptr(), length) } {
            0 => Ok(false),
            1.. => Ok(true),
            _ => Err(Failed("it does not take the sound")),
        }
    }

    /// What was heard in the stretch that ends here, as JSON; the next one begins.
    pub fn result(&mut self) -> Result<String, Failed> {
        self.text(self.model.api.result)
    }

    /// What the stretch seems to be so far, as JSON.
    pub fn partial(&mut self) -> Result<String, Failed> {
        self.text(self.model.api.partial_result)
    }

    /// What was heard in the last stretch, which ends here whatever follows, as JSON.
    pub fn last(&mut self) -> Result<String, Failed> {
        self.text(self.model.api.final_result)
    }

    fn text(&mut self, of: unsafe extern "C" fn(*mut VoskRecognizer) -> *const c_char) -> Result<String, Failed> {
        // SAFETY: the recognizer lives.
        let text = unsafe { of(self.recognizer.as_ptr()) };
        if text.is_null() {
            return Err(Failed("it gives no result"));
        }
        // SAFETY: it is a text that ends in NUL, and stays until the next call of this recognizer; here it is copied.
        Ok(unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned())
    }
}

impl Drop for Recognizer {
    fn drop(&mut self) {
        // SAFETY: nobody has it any more.
        unsafe { (self.model.api.recognizer_free)(self.recognizer.as_ptr()) }
    }
}
