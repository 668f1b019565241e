//! The logic of bts, the toolkit that backs Btrfs snapshots up to S3 and gets
//! them back.
//!
//! The five programs in `bins/` parse their arguments, call one engine here and
//! turn its answer into an exit status. Data flows one way:
//!
//! | layer | modules | knows |
//! |---|---|---|
//! | vocabulary | [`exit`], [`time`], [`moment`], [`names`], [`size`] | nothing else |
//! | formats | [`record`], [`hasher`], [`manifest`], [`send_stream`] | the vocabulary |
//! | surroundings | [`config`], [`btrfs`], [`state`], [`journal`], [`store`], [`retry`], [`lock`] | the formats |
//! | engines | [`chunk`], [`intent`], [`upload`], [`publish`], [`chain`], [`catalog`], [`recovery`], [`download`], [`plan`], [`gc`] | all of the above |
//! | edges | [`cli`] | everything |
//!
//! Engines speak to a store through the [`store::Store`] trait alone; only the
//! folder `store/s3` knows how S3 is reached.

pub mod btrfs;
pub mod catalog;
pub mod chain;
pub mod chunk;
pub mod cli;
pub mod config;
pub mod download;
pub mod exit;
pub mod gc;
pub mod hasher;
pub mod intent;
pub mod journal;
pub mod lock;
pub mod manifest;
pub mod moment;
pub mod names;
pub mod plan;
pub mod publish;
pub mod record;
pub mod recovery;
pub mod retry;
pub mod send_stream;
pub mod size;
pub mod state;
pub mod store;
pub mod time;
pub mod upload;

#[cfg(test)]
mod testing;
