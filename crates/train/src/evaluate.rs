//! Figures of a data set: sums over samples that stay on the device, and the steps that make them.

use std::collections::HashMap;

use noyau_data::{Dataset, Loader};
use noyau_nn::Mode;
use noyau_tensor::{Array, DType, Error, Param, Result, Scalar, Tensor};

use crate::feed::Feed;
use crate::history::Evaluation;
use crate::session::{Session, Step};
use crate::step::CompiledStep;
use crate::trainer::Trainer;

/// Sums over samples, kept on the device and read now and then.
pub(crate) struct Sums {
    pub loss: Param,
    pub correct: Param,
    confusion: Option<Param>,
}

impl Sums {
    /// With a confusion matrix where a number of classes is given.
    pub fn new(classes: Option<usize>) -> Sums {
        let confusion = classes.map(|c| Param::from_array("sums.confusion", Array::full([c, c], Scalar::Float(0.0))));
        Sums { loss: Param::scalar("sums.loss", 0.0), correct: Param::scalar("sums.correct", 0.0), confusion }
    }

    pub async fn clear(&self, session: &Session) -> Result<()> {
        for param in [&self.loss, &self.correct].into_iter().chain(&self.confusion) {
            session.set_async(param, &Array::full(param.shape(), Scalar::Float(0.0))).await?;
        }
        Ok(())
    }

    /// The sums after one more batch.
    pub fn updates(&self, loss: &Tensor, logits: &Tensor, y: &Tensor, classes: Option<usize>) -> Vec<(Param, Tensor)> {
        let batch = y.shape().first().copied().unwrap_or(0);
        let mut updates = vec![(self.loss.clone(), &self.loss + loss * batch as f32)];
        if classes.is_some() {
            let predicted = logits.argmax(-1);
            let correct = predicted.eq(y.to(DType::U32)).to(DType::F32).sum();
            updates.push((self.correct.clone(), &self.correct + correct));
            if let (Some(confusion), Some(classes)) = (&self.confusion, classes) {
                let counts = y.one_hot(classes).t().matmul(&predicted.one_hot(classes));
                updates.push((confusion.clone(), confusion + counts));
            }
        }
        updates
    }
}

/// The steps that evaluate a model on one data set.
pub(crate) struct Evaluator {
    feed: Feed,
    sums: Sums,
    steps: HashMap<usize, CompiledStep>,
    classes: Option<usize>,
}

impl Evaluator {
    pub async fn new(trainer: &Trainer, session: &Session, data: &Dataset) -> Result<Evaluator> {
        let classes = trainer.check(data)?;
        let loader = Loader::new(data, data.len().clamp(1, 1000))?;
        // A set that is read once an epoch is sent along: keeping it on the device would cost memory for little.
        let feed = Feed::new(loader, false);
        let sums = Sums::new(classes);
        let mut steps = HashMap::new();
        for size in feed.batch_sizes() {
            let (arguments, x, y) = feed.arguments(size);
            let out = trainer.model.forward(&x, &Mode::eval());
            let loss = trainer.loss.loss(&out, &y);
            let step = Step::default().updates(sums.updates(&loss, &out, &y, classes)).reading(trainer.optimizer.averaged());
            steps.insert(size, session.load(&arguments, step).await?);
        }
        Ok(Evaluator { feed, sums, steps, classes })
    }

    pub async fn run(&mut self, session: &Session) -> Result<Evaluation> {
        self.sums.clear(session).await?;
        let mut batches = self.feed.epoch(session, 0, 0).await?;
        while let Some(parcel) = batches.take(1) {
            let Some(step) = self.steps.get_mut(&parcel.len()) else { return Err(Error::Internal("no step for this batch size".into())) };
            parcel.launch(step).await?;
            batches.recycle(parcel);
        }
        let samples = self.feed.loader.samples() as f64;
        let loss = f64::from(session.get_async(&self.sums.loss).await?.try_item()?) / samples;
        let correct = f64::from(session.get_async(&self.sums.correct).await?.try_item()?) / samples;
        let confusion = match (&self.sums.confusion, self.classes) {
            (Some(param), Some(classes)) => {
                let counts = session.get_async(param).await?.to_f64();
                counts.chunks(classes).map(|row| row.iter().map(|&n| n.round() as u64).collect()).collect()
            }
            _ => Vec::new(),
        };
        Ok(Evaluation { loss, accuracy: self.classes.map(|_| correct), confusion })
    }
}
